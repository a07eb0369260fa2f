package sidecar

import (
	"context"
	"errors"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// Close drains the sidecar: no new connections, `draining` for new appends, what
// has queued up is committed and answered, a checkpoint is written, everything is
// closed. It gives up when ctx ends.
func (s *Sidecar) Close(ctx context.Context) error {
	s.draining.Store(true)
	s.log.Info("draining")
	err := s.release(ctx)
	if err == nil {
		s.log.Info("stopped")
	}
	_ = s.log.Sync() // a terminal cannot be synced
	return err
}

// stopCommitter has everything that was taken committed and answered, and reports whether that has ended.
func (s *Sidecar) stopCommitter(ctx context.Context) (ended bool, err error) {
	if s.committer == nil {
		return true, nil
	}
	s.committer.Refuse(wire.ReasonDraining)
	if err = s.committer.Close(ctx); err == nil || s.syncing == nil {
		return err == nil, err
	}
	s.committer.TurnDown(wire.ReasonDraining) // what waits for the archive will not be told
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	late := s.committer.Close(closing)
	return late == nil, errors.Join(err, late)
}

// release closes whatever is open, in the reverse order of opening.
func (s *Sidecar) release(ctx context.Context) error {
	var errs []error
	if s.listener != nil {
		errs = append(errs, s.listener.Close())
		s.accept.Wait()
	}
	ended, err := s.stopCommitter(ctx)
	errs = append(errs, err)
	if s.archiver != nil && s.archiver.cancel != nil {
		errs = append(errs, s.archiver.stop(ctx))
	}
	if s.streamer != nil {
		errs = append(errs, s.streamer.stop(ctx))
	}
	s.stop()
	s.watchers.Wait()
	s.sessions.wakeAll()
	errs = append(errs, s.sessions.wait(ctx))
	if s.roots != nil {
		errs = append(errs, s.roots.bodies.stop(ctx))
	}
	if s.https != nil {
		errs = append(errs, s.https.close(ctx))
	}
	if s.disk != nil {
		s.disk.stop()
	}
	s.flight.stop()
	if s.headSync != nil {
		s.headSync.stop()
	}
	if s.scrub != nil {
		s.scrub.stop()
	}
	if !ended {
		// The committer goes on to its end on its own. The store is not closed beneath it, nor is the home handed to
		// another process: both end with this one.
		return errors.Join(errs...)
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.home != nil {
		errs = append(errs, s.home.close())
	}
	return errors.Join(errs...)
}
