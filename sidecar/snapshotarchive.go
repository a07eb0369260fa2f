package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/wire"
)

// ArchivedSnapshot is what SNAPSHOT into the archive answers, as JSON.
type ArchivedSnapshot struct {
	Name   string `json:"name"` // of its index, beside the segments
	Origin string `json:"origin"`
	First  uint64 `json:"first"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"`
	State  uint64 `json:"state"`
	Term   uint64 `json:"term"`
	Bytes  uint64 `json:"bytes"`
}

// archiveSnapshot puts a snapshot into the archive and says what it is.
func (ss *session) archiveSnapshot(id uint64) wire.Fault {
	s, began := ss.sidecar, time.Now()
	var put *archive.Snapshot
	m, err := s.snapshot(ss.ctx, func(m *SnapshotInfo, pack func(io.Writer) error) error {
		if err := s.archiver.reach(ss.ctx, m.Size); err != nil {
			return err
		}
		var err error
		put, err = s.archiver.writer.PutSnapshot(ss.ctx, m.Size, m.Root, func(w io.Writer) error {
			return pack(&guardedWriter{w, s.diskLeft})
		})
		return err
	})
	if err != nil {
		s.snapshots.failures.Add(1)
		return ss.failed("putting a snapshot into the archive", err)
	}
	s.snapshots.made(m, put.Bytes, began)
	s.log.Info("a snapshot was put into the archive", zap.String("name", put.Name()), zap.Uint64("size", m.Size), zap.Uint64("bytes", put.Bytes), zap.Duration("took", time.Since(began)))
	out := &answerFrames{session: ss, header: wire.FrameHeader{Type: wire.FrameSnapshotAnswer, RequestID: id}}
	answer := ArchivedSnapshot{put.Name(), m.Origin, m.First, m.Size, m.Root.String(), m.State, put.Term, put.Bytes}
	if err := json.NewEncoder(out).Encode(answer); err != nil {
		return ss.failed("putting a snapshot into the archive", err)
	}
	_ = out.end() // it is not there any more
	return wire.Fault{}
}

// guardedWriter asks before each write whether it may go on.
type guardedWriter struct {
	w       io.Writer
	mayGoOn func() error
}

func (g *guardedWriter) Write(b []byte) (int, error) {
	if err := g.mayGoOn(); err != nil {
		return 0, err
	}
	return g.w.Write(b)
}

const (
	// reachTimeout bounds how long a snapshot waits for the segments before it.
	reachTimeout = 2 * time.Minute
	reachPoll    = 20 * time.Millisecond
)

// reach has the log archived up to a size now, without waiting for archive.interval.
func (a *archiver) reach(ctx context.Context, size uint64) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	select {
	case a.nudge <- struct{}{}:
	default:
	}
	for a.writer.Archived().Size < size {
		if a.fenced.Load() {
			return errors.New("another sidecar has taken the ledger over")
		}
		if err := waitFor(ctx, reachPoll); err != nil {
			return fmt.Errorf("the segments end at %d, and the snapshot has %d entries: %w", a.writer.Archived().Size, size, err)
		}
	}
	return nil
}
