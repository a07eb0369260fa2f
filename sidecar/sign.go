package sidecar

import (
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// checkpointSigner signs the checkpoints that others ask for: one for each size at
// most, and none whose root a second computation does not confirm. It is safe for
// concurrent use.
type checkpointSigner struct {
	key note.Signer // named by the origin of the checkpoints
	// second computes the root of the first size records again. It is called with
	// rising sizes, by one goroutine at a time.
	second func(size uint64) (merkle.Hash, error)
	// refuted is told of a root that was not confirmed.
	refuted func(error)
	head    func() *committer.Head

	mu     sync.Mutex
	newest signedCheckpoint
}

// signedCheckpoint is a checkpoint as readers get it.
type signedCheckpoint struct {
	size uint64
	root merkle.Hash
	text []byte // a signed note; MUST NOT be changed
}

// sign returns the signed checkpoint of the newest head. Whoever knows a head gets
// a checkpoint of its size or a greater one.
func (s *checkpointSigner) sign(known *committer.Head) (signedCheckpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest.text != nil && known.Size <= s.newest.size {
		return s.newest, nil
	}
	head := s.head() // those who waited for the lock need not sign one after the other
	again, err := s.second(head.Size)
	if err != nil {
		return signedCheckpoint{}, fmt.Errorf("compute the root at size %d again: %w", head.Size, err)
	}
	if again != head.Root {
		err := fmt.Errorf("sign the root at size %d: it is %v, but the records in the log give %v", head.Size, head.Root, again)
		s.refuted(err)
		return signedCheckpoint{}, err
	}
	text, err := merkle.Checkpoint{Origin: s.key.Name(), Size: head.Size, Root: head.Root}.Sign(s.key)
	if err != nil {
		return signedCheckpoint{}, err
	}
	s.newest = signedCheckpoint{size: head.Size, root: head.Root, text: text}
	return s.newest, nil
}

// logAudit computes roots from what the log has on disk: it reads the records back
// and hashes them again. It goes on from where it was, or from the newest
// checkpoint of the state where that is further, so that one call costs no more
// than the records behind that checkpoint. It is not safe for concurrent use.
type logAudit struct {
	store    *store.Store
	frontier merkle.Frontier
}

func newLogAudit(s *store.Store) *logAudit {
	return &logAudit{store: s, frontier: merkle.NewFrontier(merkle.HashKind(s.Meta().Hash))}
}

// rootAt returns the root of the first size records. size MUST NOT be less than in
// the call before.
func (a *logAudit) rootAt(size uint64) (merkle.Hash, error) {
	kind := a.frontier.Kind()
	if mark := a.store.Mark(); mark.Size > a.frontier.Size() && mark.Size <= size {
		hashes := make([]merkle.Hash, len(mark.Frontier))
		for i := range hashes {
			hashes[i] = mark.Frontier[i]
		}
		frontier, err := merkle.RestoreFrontier(kind, mark.Size, hashes)
		if err != nil {
			return merkle.Hash{}, err
		}
		a.frontier = frontier
	}
	if a.frontier.Size() < size {
		for record, err := range a.store.Records(a.frontier.Size()+1, size) {
			if err != nil {
				return merkle.Hash{}, err
			}
			if record.Seq != a.frontier.Size()+1 {
				return merkle.Hash{}, fmt.Errorf("record %d is not in the log", a.frontier.Size()+1)
			}
			a.frontier.Add(kind.Leaf(record.Bytes))
		}
	}
	if a.frontier.Size() != size {
		return merkle.Hash{}, fmt.Errorf("the log ends at %d", a.frontier.Size())
	}
	return a.frontier.Root(), nil
}
