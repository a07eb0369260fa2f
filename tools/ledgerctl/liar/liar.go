// Package liar is a server of roots that lies. It takes from a test which of two histories it is to tell,
// how much of it and what to change, and hands the answer to whoever is to notice: package monitor, the
// commands that are built on it, and fleets. It is for tests.
package liar

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// ForkAt is the number of records that both histories begin with.
const ForkAt = 40

// historySize is the number of records of each history.
const historySize = 100

// Server answers GET /roots. Its fields say how, and are changed between requests.
type Server struct {
	Signer note.Signer
	VKey   string // of its checkpoints, in the epoch in which it was made

	Size    uint64                                   // how much it tells
	History int                                      // of which history: 0, or 1
	Choose  func(since uint64) int                   // which one it tells to whom; nil: History
	Lie     func(status int, page *monitor.Page) int // changes the honest answer; nil: nothing

	hash      merkle.HashKind
	key       ed25519.PrivateKey
	histories [2][]merkle.Hash // leaves
}

// New returns a server whose log id begins with id, and whose key comes from seed.
func New(hash merkle.HashKind, id, seed byte) (*Server, error) {
	s := &Server{hash: hash, key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))}
	origin := merkle.Origin("test", merkle.LogID{id}, hash)
	var err error
	if s.Signer, err = merkle.NewSigner(origin, s.key); err != nil {
		return nil, err
	}
	if s.VKey, err = merkle.VerifierKey(origin, s.key.Public().(ed25519.PublicKey)); err != nil {
		return nil, err
	}
	for i := range byte(historySize) {
		forked := i
		if i >= ForkAt {
			forked += historySize
		}
		s.histories[0] = append(s.histories[0], hash.Leaf([]byte{i}))
		s.histories[1] = append(s.histories[1], hash.Leaf([]byte{forked}))
	}
	return s, nil
}

// Epoch lets it go on under another log id and the same key.
func (s *Server) Epoch(id byte) (err error) {
	s.Signer, err = merkle.NewSigner(merkle.Origin("test", merkle.LogID{id}, s.hash), s.key)
	return err
}

// Prover makes the proofs of the history that it tells.
func (s *Server) Prover() *merkle.Prover {
	return &merkle.Prover{
		Kind:   s.hash,
		Leaves: func(_ uint64, width int) ([]merkle.Hash, error) { return s.histories[s.History][:width], nil },
		Tile:   func(uint8, uint64) ([]byte, error) { return nil, nil },
	}
}

// Root returns the root of that history at a size.
func (s *Server) Root(size uint64) merkle.Hash {
	root, err := s.Prover().RootAt(size)
	if err != nil {
		panic(err)
	}
	return root
}

// Checkpoint returns the signed checkpoint of what it tells.
func (s *Server) Checkpoint() []byte {
	signed, err := merkle.Checkpoint{Origin: s.Signer.Name(), Size: s.Size, Root: s.Root(s.Size)}.Sign(s.Signer)
	if err != nil {
		panic(err)
	}
	return signed
}

// ServeHTTP answers GET /roots, as long as the truth goes as a sidecar does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	since, _ := strconv.ParseUint(r.FormValue("since"), 10, 64)
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil {
		limit = historySize
	}
	proof := r.FormValue("proof") == "1"
	if s.Choose != nil {
		s.History = s.Choose(since)
	}
	if proof && since > s.Size {
		http.Error(w, "parameter since: the tree has not had this size", http.StatusBadRequest)
		return
	}
	status, page := http.StatusOK, &monitor.Page{Next: since, Checkpoint: string(s.Checkpoint())}
	for seq := since + 1; seq <= s.Size && len(page.Roots) < limit; seq++ {
		page.Roots = append(page.Roots, monitor.Root{Seq: seq, Root: s.Root(seq)})
		page.Next = seq
	}
	if proof {
		hashes, err := s.Prover().ConsistencyProof(since, s.Size)
		if err != nil {
			panic(err)
		}
		hashes = append([]merkle.Hash{}, hashes...) // as the sidecar does, never null
		page.Consistency = &hashes
	}
	if s.Lie != nil {
		status = s.Lie(status, page)
	}
	if status != http.StatusOK {
		http.Error(w, fmt.Sprintf("status %d", status), status)
		return
	}
	_ = json.NewEncoder(w).Encode(page)
}
