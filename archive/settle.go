package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/store"
)

// headLag is how many segments the stored head may lag behind. Whoever opens the archive reads them.
const headLag = 64

// keepHead stores the head beside the uploads while it still may lag behind some more, and waits for it before it may not.
func (w *Writer) keepHead(ctx context.Context) error {
	w.mu.Lock()
	lag := w.lag
	w.mu.Unlock()
	if w.settling == nil && lag >= headLag-2*UploadsMax {
		w.settling = make(chan error, 1)
		w.running.Go(func() { w.settling <- w.settle(ctx) })
	}
	if lag < headLag-UploadsMax {
		return nil
	}
	return w.settled()
}

// settled waits for the head that is being stored beside the uploads.
func (w *Writer) settled() (err error) {
	if w.settling != nil {
		err = <-w.settling
		w.settling = nil
	}
	return err
}

// settleNow is Settle. What came of an attempt before is seen again.
func (w *Writer) settleNow(ctx context.Context) error {
	_ = w.settled()
	return w.settle(ctx)
}

// settle stores the head. Where another one was stored meanwhile it says whose.
func (w *Writer) settle(ctx context.Context) error {
	w.mu.Lock()
	head, lag := w.head, w.lag
	w.mu.Unlock()
	if lag == 0 && w.sync == w.options.Sync && w.version != "" { // one of an empty log is stored, too
		return nil
	}
	head.Sync = w.options.Sync
	signed, err := head.sign(w.options.Signer)
	if err != nil {
		return err
	}
	version, err := w.folder.objects.Put(ctx, w.folder.key(headName), signed, w.version)
	if errors.Is(err, store.ErrObjectChanged) {
		there, now, readErr := w.folder.head(ctx)
		if readErr != nil {
			return errors.Join(err, readErr)
		}
		other, openErr := openHead(there, w.options.Verifier)
		switch {
		case bytes.Equal(there, signed): // the answer to an earlier attempt was lost
			version, err = now, nil
		case openErr == nil && other.Term > w.term:
			return w.fencedBy(ctx, other.Term)
		case openErr == nil && other.Size <= head.Size: // that of an earlier attempt, or of a term before
			version, err = w.folder.objects.Put(ctx, w.folder.key(headName), signed, now)
		}
	}
	if err != nil {
		return fmt.Errorf("write the head of the archive: %w", err)
	}
	w.version, w.sync = version, head.Sync
	w.mu.Lock()
	w.lag -= lag
	w.mu.Unlock()
	return nil
}
