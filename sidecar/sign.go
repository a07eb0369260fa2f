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

	// Records that were read and are not in the frontier yet: they are hashed side by side.
	records []byte
	ends    []uint32
	leaves  []merkle.Hash
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
		if err := a.read(size); err != nil {
			return merkle.Hash{}, err
		}
	}
	if a.frontier.Size() != size {
		return merkle.Hash{}, fmt.Errorf("the log ends at %d", a.frontier.Size())
	}
	return a.frontier.Root(), nil
}

// read adds the records up to size to the frontier.
func (a *logAudit) read(size uint64) error {
	a.records, a.ends = a.records[:0], a.ends[:0]
	for record, err := range a.store.Records(a.frontier.Size()+1, size) {
		if err != nil {
			return err
		}
		if next := a.frontier.Size() + uint64(len(a.ends)) + 1; record.Seq != next {
			return fmt.Errorf("record %d is not in the log", next)
		}
		a.records = append(a.records, record.Bytes...)
		if a.ends = append(a.ends, uint32(len(a.records))); len(a.ends) == merkle.BlockLeaves {
			a.hash()
		}
	}
	a.hash()
	return nil
}

// hash adds what was read.
func (a *logAudit) hash() {
	a.leaves = a.frontier.Kind().AppendLeaves(a.leaves[:0], a.records, a.ends)
	a.frontier.AddAll(a.leaves)
	a.records, a.ends = a.records[:0], a.ends[:0]
}
