package sidecar

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// stableFile holds the newest checkpoint of the stable series.
const stableFile = "stable.checkpoint"

// stableSeries publishes a checkpoint every checkpoint.publish_interval, for witnesses:
// all who ask in between get the same one, and so sign the same one. It is durable
// before anybody gets it, so the series goes on behind a restart and never tells two
// roots of one size. It is safe for concurrent use.
type stableSeries struct {
	path     string // empty where nothing is kept: a micronode is another ledger after a restart
	interval time.Duration
	now      func() time.Time
	newer    func() (signedCheckpoint, error)

	mu     sync.Mutex
	newest signedCheckpoint
	at     time.Time // when newest was published
}

func newStableSeries(s *Sidecar, signer *checkpointSigner) *stableSeries {
	series := &stableSeries{
		interval: s.config.Checkpoint.PublishInterval.Duration(), now: time.Now,
		newer: func() (signedCheckpoint, error) { return signer.sign(s.committer.Head()) },
	}
	if s.home.durable {
		series.path = s.home.path(stableFile)
	}
	return series
}

// checkpoint returns the newest checkpoint of the series, and begins a new one when its
// time has come and the ledger has grown. It is signed when it is asked for, as all are.
func (s *stableSeries) checkpoint() (signedCheckpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if age := now.Sub(s.at); s.newest.text != nil && age >= 0 && age < s.interval {
		return s.newest, nil
	}
	next, err := s.newer()
	if err != nil {
		return signedCheckpoint{}, err
	}
	if s.newest.text == nil || next.size > s.newest.size {
		if s.path != "" {
			if err := writeFile(s.path, next.text, 0o644); err != nil {
				return signedCheckpoint{}, fmt.Errorf("keep the stable checkpoint of size %d: %w", next.size, err)
			}
		}
		s.newest = next
	}
	s.at = now
	return s.newest, nil
}

// load takes up the series where it was left. The checkpoint of an epoch before is
// passed over: the series begins again under the new log id. A file that the ledger
// cannot have written is an error. One that names what the ledger does not hold is a
// loss, which it returns: what was published is gone or changed.
func (s *stableSeries) load(key note.Verifier, size uint64, rootAt func(uint64) (merkle.Hash, error)) (*committer.Loss, error) {
	if s.path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the stable checkpoint: %w", err)
	}
	if origin, _, _ := bytes.Cut(text, []byte("\n")); string(origin) != key.Name() {
		if _, _, _, err := merkle.ParseOrigin(string(origin)); err == nil {
			return nil, nil
		}
	}
	known, err := merkle.OpenCheckpoint(text, key)
	if err != nil {
		return nil, fmt.Errorf("read the stable checkpoint %s: %w: restore it from a backup; without the file the series begins again", s.path, err)
	}
	if known.Size > size {
		return &committer.Loss{First: size + 1, Last: known.Size,
			What: fmt.Sprintf("entries %d to %d are missing: %s has published size %d, and the log ends at %d", size+1, known.Size, s.path, known.Size, size)}, nil
	}
	root, err := rootAt(known.Size)
	if err != nil {
		return nil, fmt.Errorf("compute the root of the stable checkpoint at size %d: %w", known.Size, err)
	}
	if root != known.Root {
		return &committer.Loss{What: fmt.Sprintf("at size %d root %v was published, by %s, and the log gives %v", known.Size, known.Root, s.path, root)}, nil
	}
	s.newest = signedCheckpoint{size: known.Size, root: known.Root, text: text}
	if info, err := os.Stat(s.path); err == nil {
		s.at = info.ModTime()
	}
	return nil, nil
}
