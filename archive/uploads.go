package archive

import (
	"context"
	"errors"
	"fmt"
)

// UploadsMax bounds how many segments a writer may have on their way at once. So fewer than that lie behind a gap in the
// chain: readers rely on it.
const UploadsMax = 8

// upload is a segment on its way to its place.
type upload struct {
	s       *Segment
	raw     []byte // its commits, until it is sealed
	object  []byte // from then on
	running bool
	stored  bool
	err     error // of the last attempt, until it is told
}

// inOwnTerm reports whether no earlier run can have anything on its way in the term. Then whatever arrives late is what
// this writer has sent, and what has failed is sent again as it was.
func (w *Writer) inOwnTerm() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.own
}

// room is how many segments may be on their way. The caller holds mu. One is alone until its place is known to be free
// of what an earlier run has sent: what follows it would lie behind a gap, or in the middle of another segment.
func (w *Writer) room() int {
	if !w.own {
		return 1
	}
	return w.options.Uploads
}

// Uploads returns how many segments are on their way, and how many may be.
func (w *Writer) Uploads() (now, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.pending), w.options.Uploads
}

// begin sends a segment behind those that are on their way.
func (w *Writer) begin(ctx context.Context, u *upload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, u)
	w.send(ctx, u)
}

// resend sends again what has failed once that was told, and tells what has not been told yet.
func (w *Writer) resend(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.failure(); err != nil {
		return err
	}
	for _, u := range w.pending {
		if !u.stored && !u.running {
			w.send(ctx, u)
		}
	}
	return nil
}

// send begins an attempt. The caller holds mu.
func (w *Writer) send(ctx context.Context, u *upload) {
	u.running = true
	w.running.Go(func() {
		err := w.seal(u)
		if err == nil {
			err = w.folder.create(ctx, u.s.at, u.object)
		}
		if taken := new(errTaken); errors.As(err, &taken) && taken.segment.Term > w.term {
			err = w.fenced(taken.segment.Term, u.s.First-1)
		}
		w.ended(u, err)
	})
}

// seal makes the object, once: it is sent again as it was.
func (w *Writer) seal(u *upload) (err error) {
	if u.object != nil {
		return nil
	}
	if u.object, err = u.s.seal(u.raw, w.options.Signer); err == nil {
		w.keepBuffer(u)
	}
	return err
}

// buffer returns an empty one.
func (w *Writer) buffer() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buffers) == 0 {
		return nil
	}
	last := len(w.buffers) - 1
	b := w.buffers[last]
	w.buffers = w.buffers[:last]
	return b[:0]
}

// buffersMax is how many buffers are kept for the next segments.
const buffersMax = 2

// keepBuffer takes that of a segment back, for the next ones. One large commit is no reason to keep so much.
func (w *Writer) keepBuffer(u *upload) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buffers) < buffersMax && cap(u.raw) <= 2*segmentRawTarget {
		w.buffers = append(w.buffers, u.raw)
	}
	u.raw = nil
}

// ended notes how an attempt went. What is there counts once all before it is: the archive is a chain.
func (w *Writer) ended(u *upload, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u.running, u.stored, u.err = false, err == nil, err
	before := w.head.Size
	for len(w.pending) > 0 && w.pending[0].stored {
		w.head = w.head.with(w.pending[0].s)
		w.lag++
		w.own = w.own || w.options.Uploads > 1
		w.pending[0] = nil
		w.pending = w.pending[1:]
	}
	if w.head.Size > before && w.options.Shipped != nil {
		w.options.Shipped(w.head.Size)
	}
	notify(w.changed)
	if err != nil {
		notify(w.failures)
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Failures tells that an upload has failed: the next Cut says why, and the one behind it sends it again.
func (w *Writer) Failures() <-chan struct{} { return w.failures }

// failure returns why uploads have failed, once: that the writer is fenced, or else what the first of them met. The
// caller holds mu.
func (w *Writer) failure() (err error) {
	for _, u := range w.pending {
		if u.err == nil {
			continue
		}
		if fenced := new(FencedError); err == nil || errors.As(u.err, &fenced) && !errors.As(err, &fenced) {
			err = fmt.Errorf("archive the log from %d: %w", u.s.First, u.err)
		}
		u.err = nil
	}
	return err
}

// await waits until it is ready, which is asked with mu held, an upload has failed, or ctx ends.
func (w *Writer) await(ctx context.Context, ready func() bool) error {
	for {
		w.mu.Lock()
		err, now := w.failure(), ready()
		w.mu.Unlock()
		if err != nil || now {
			return err
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
