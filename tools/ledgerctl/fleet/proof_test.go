package fleet_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/fleet"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/liar"
)

var update = flag.Bool("update", false, "make testdata/vectors.json, which is never remade")

const vectorsFile = "testdata/vectors.json"

// vectors are bytes for others to test their implementation with. Bytes are in base64.
type vectors struct {
	Comment string
	VKey    string // of the fleet
	Lines   []vectorLine
}

type vectorLine struct {
	Hash      string
	Leaves    [][]byte // in the order of the tree
	LeafHash  []merkle.Hash
	Root      merkle.Hash
	Line      string // signed
	Index     uint64 // of the leaf that is proven
	Receipt   string
	Proof     string
	Seq       uint64 // of the entry
	LedgerKey string
}

// anchoring is a fleet of liars with a key that is always the same.
type anchoring struct {
	t       *testing.T
	servers []*liar.Server
	signer  note.Signer
	key     note.Verifier
	vkey    string
	tree    *fleet.Anchored
}

// newAnchoring anchors count ledgers of sizes 41, 42, … up to 99.
func newAnchoring(t *testing.T, hash merkle.HashKind, count int) *anchoring {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{200}, ed25519.SeedSize))
	vkey, err1 := note.NewEd25519VerifierKey("fleet.example", private.Public().(ed25519.PublicKey))
	signer, err2 := merkle.NewSigner("fleet.example", private)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	a := &anchoring{t: t, signer: signer, vkey: vkey}
	var err error
	if a.key, err = note.NewVerifier(vkey); err != nil {
		t.Fatal(err)
	}
	var leaves []*fleet.Leaf
	for i := range count {
		id := byte(37*i + 11) // not in the order in which they lie in the tree
		server, err := liar.New([]merkle.HashKind{merkle.Blake3, merkle.SHA256}[i%2], id, id)
		if err != nil {
			t.Fatal(err)
		}
		server.Size = liar.ForkAt + 1 + uint64(i)%59
		a.servers = append(a.servers, server)
		public := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{id}, ed25519.SeedSize)).Public().(ed25519.PublicKey)
		leaves = append(leaves, &fleet.Leaf{
			Checkpoint: merkle.Checkpoint{Origin: server.Signer.Name(), Size: server.Size, Root: server.Root(server.Size)}, Public: public,
		})
	}
	tree, err := fleet.NewTree(hash, leaves)
	if err != nil {
		t.Fatal(err)
	}
	line, err := tree.Line("fleet.example", time.UnixMilli(1_760_000_000_123))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := line.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	a.tree = &fleet.Anchored{Line: &line, Note: signed, Tree: tree}
	return a
}

// receipt is that of an entry of a ledger, at a size of its history.
func (a *anchoring) receipt(server *liar.Server, seq, size uint64) []byte {
	a.t.Helper()
	was := server.Size
	server.Size = size
	defer func() { server.Size = was }()
	path, err := server.Prover().InclusionProof(size, seq-1)
	if err != nil {
		a.t.Fatal(err)
	}
	r := merkle.Receipt{Extra: []byte{byte(seq - 1)}, Index: seq - 1, Proof: path, Checkpoint: server.Checkpoint()}
	if server.History == 1 && seq > liar.ForkAt {
		r.Extra[0] += 100
	}
	text, err := r.Marshal()
	if err != nil {
		a.t.Fatal(err)
	}
	return text
}

func consistencyOf(server *liar.Server) fleet.Consistency {
	return func(smaller, larger uint64) ([]merkle.Hash, error) {
		return server.Prover().ConsistencyProof(smaller, larger)
	}
}

// Every entry of every ledger that is anchored is proven, whatever size its receipt is of; and no
// entry that is not.
func TestProve(t *testing.T) {
	for _, hash := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		for _, count := range []int{1, 2, 3, 300} {
			a := newAnchoring(t, hash, min(count, 256))
			text, err := a.tree.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			kept, err := fleet.ParseAnchored(text, a.key)
			if err != nil {
				t.Fatal(err)
			}
			for i, server := range a.servers[:min(count, 7)] {
				for _, size := range []uint64{server.Size - 9, server.Size - 1, server.Size, server.Size + 1, 100} {
					if size > 100 {
						continue
					}
					for _, seq := range []uint64{1, size / 2, size} {
						p, err := kept.Prove(a.receipt(server, seq, size), consistencyOf(server))
						var ahead *fleet.AheadError
						if seq > server.Size {
							if !errors.As(err, &ahead) {
								t.Errorf("ledger %d: entry %d of %d is proven: %v", i, seq, server.Size, err)
							}
							continue
						}
						if err != nil {
							t.Fatalf("ledger %d, entry %d at %d: %v", i, seq, size, err)
						}
						again, err := fleet.ParseProof(p.Marshal())
						if err != nil {
							t.Fatal(err)
						}
						proven, err := again.Verify(a.key)
						if err != nil || proven.Seq != seq || proven.Leaf.Size != server.Size || proven.Line != *a.tree.Line || proven.Record[0] != byte(seq-1) {
							t.Errorf("ledger %d, entry %d at %d: %+v, %v", i, seq, size, proven, err)
						}
					}
				}
			}
		}
	}
}

// A receipt of a history that was not anchored proves nothing.
func TestAnotherHistoryIsNotAnchored(t *testing.T) {
	a := newAnchoring(t, merkle.Blake3, 5)
	server := a.servers[3]
	server.History = 1
	for _, size := range []uint64{server.Size, 60, 90} {
		p, err := a.tree.Prove(a.receipt(server, 41, size), consistencyOf(server))
		if err != nil {
			t.Fatal(err)
		}
		if proven, err := p.Verify(a.key); err == nil {
			t.Errorf("the fork at %d is anchored: %+v", size, proven)
		}
	}
	stranger, err := liar.New(merkle.Blake3, 250, 250)
	if err != nil {
		t.Fatal(err)
	}
	stranger.Size = 50
	if _, err := a.tree.Prove(a.receipt(stranger, 3, 50), consistencyOf(stranger)); err == nil || !strings.Contains(err.Error(), "anchors no ledger") {
		t.Errorf("a ledger that is not of the fleet: %v", err)
	}
}

// No byte of a proof can be changed: it is refused, by its form or by what it says.
func TestMutatedProofIsRefused(t *testing.T) {
	a := newAnchoring(t, merkle.SHA256, 5)
	p, err := a.tree.Prove(a.receipt(a.servers[1], 7, 90), consistencyOf(a.servers[1]))
	if err != nil {
		t.Fatal(err)
	}
	text := p.Marshal()
	for i := range text {
		for _, bit := range []int{i % 8, 7 - i%8} {
			changed := bytes.Clone(text)
			changed[i] ^= 1 << bit
			if q, err := fleet.ParseProof(changed); err == nil {
				if proven, err := q.Verify(a.key); err == nil {
					t.Fatalf("byte %d, bit %d: %+v", i, bit, proven)
				}
			}
		}
	}
	for name, change := range map[string]func(*fleet.Proof){
		"another index":              func(p *fleet.Proof) { p.Index++ },
		"a hash less":                func(p *fleet.Proof) { p.Path = p.Path[1:] },
		"no consistency":             func(p *fleet.Proof) { p.Consistency = nil },
		"a hash of consistency more": func(p *fleet.Proof) { p.Consistency = append(p.Consistency, merkle.Hash{}) },
		"the leaf of another ledger": func(p *fleet.Proof) { p.Leaf, _ = a.tree.Tree.Leaves[0].Marshal() },
	} {
		q := *p
		change(&q)
		if proven, err := q.Verify(a.key); err == nil {
			t.Errorf("%s: %+v", name, proven)
		}
	}
}

// The files are what others have implemented.
func TestVectors(t *testing.T) {
	made := vectors{Comment: "A fleet's tree of roots, its signed line, and a proof from an entry to it: docs/PROTOCOL.md, 11."}
	for _, hash := range []merkle.HashKind{merkle.Blake3, merkle.SHA256} {
		a := newAnchoring(t, hash, 5)
		made.VKey = a.vkey
		server, seq := a.servers[2], uint64(17)
		receipt := a.receipt(server, seq, 30)
		p, err := a.tree.Prove(receipt, consistencyOf(server))
		if err != nil {
			t.Fatal(err)
		}
		l := vectorLine{
			Hash: hash.String(), Root: a.tree.Line.Root, Line: string(a.tree.Note), Index: p.Index,
			Receipt: string(receipt), Proof: string(p.Marshal()), Seq: seq, LedgerKey: server.VKey,
		}
		for _, leaf := range a.tree.Tree.Leaves {
			b, err := leaf.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			l.Leaves, l.LeafHash = append(l.Leaves, b), append(l.LeafHash, hash.Leaf(b))
		}
		made.Lines = append(made.Lines, l)
	}
	text, err := json.MarshalIndent(made, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	golden, err := os.ReadFile(vectorsFile)
	if *update && errors.Is(err, os.ErrNotExist) {
		if err = os.WriteFile(vectorsFile, text, 0o644); err == nil {
			golden = text
		}
	}
	if err != nil || !bytes.Equal(golden, text) {
		t.Errorf("%s is not what is made: %v\n%s", vectorsFile, err, text)
	}
	key, err := note.NewVerifier(made.VKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range made.Lines {
		proof, err := fleet.ParseProof([]byte(l.Proof))
		if err != nil {
			t.Fatal(err)
		}
		if proven, err := proof.Verify(key); err != nil || proven.Seq != l.Seq {
			t.Errorf("%s: %+v, %v", l.Hash, proven, err)
		}
	}
}

// A key is made once, and is for its owner alone.
func TestKey(t *testing.T) {
	path := t.TempDir() + "/fleet.key"
	signer, vkey, err := fleet.MakeKey(path, "fleet.example")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := fleet.MakeKey(path, "fleet.example"); err == nil {
		t.Error("a key was overwritten")
	}
	loaded, err := fleet.LoadKey(path)
	if err != nil || loaded.Name() != signer.Name() || loaded.KeyHash() != signer.KeyHash() || !strings.HasPrefix(vkey, "fleet.example+") {
		t.Errorf("%v, %v", loaded, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.LoadKey(path); err == nil || !strings.Contains(err.Error(), "chmod 0600") {
		t.Errorf("a key that others may read: %v", err)
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", "ä", strings.Repeat("a", 129)} {
		if _, _, err := fleet.MakeKey(t.TempDir()+"/key", name); err == nil {
			t.Errorf("a fleet is named %q", name)
		}
	}
}

// FuzzProof: what is read is written as the same bytes.
func FuzzProof(f *testing.F) {
	text, err := os.ReadFile(vectorsFile)
	if err != nil {
		f.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(text, &v); err != nil {
		f.Fatal(err)
	}
	for _, l := range v.Lines {
		f.Add([]byte(l.Proof), l.Leaves[0])
	}
	f.Fuzz(func(t *testing.T, text, leaf []byte) {
		if p, err := fleet.ParseProof(text); err == nil && !bytes.Equal(p.Marshal(), text) {
			t.Errorf("%q is written as %q", text, p.Marshal())
		}
		if l, err := fleet.ParseLeaf(leaf); err == nil {
			if again, err := l.Marshal(); err != nil || !bytes.Equal(again, leaf) {
				t.Errorf("%x is written as %x, %v", leaf, again, err)
			}
		}
	})
}
