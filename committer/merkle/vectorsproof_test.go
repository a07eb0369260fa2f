package merkle

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// published are the proof vectors that transparency-dev/merkle publishes for RFC 6962:
// good ones, and each of them damaged in some way.
type published struct {
	Inclusion []struct {
		Name     string   `json:"name"`
		LeafIdx  uint64   `json:"leafIdx"`
		TreeSize uint64   `json:"treeSize"`
		Root     []byte   `json:"root"`
		LeafHash []byte   `json:"leafHash"`
		Proof    [][]byte `json:"proof"`
		WantErr  bool     `json:"wantErr"`
	} `json:"inclusion"`
	Consistency []struct {
		Name    string   `json:"name"`
		Size1   uint64   `json:"size1"`
		Size2   uint64   `json:"size2"`
		Root1   []byte   `json:"root1"`
		Root2   []byte   `json:"root2"`
		Proof   [][]byte `json:"proof"`
		WantErr bool     `json:"wantErr"`
	} `json:"consistency"`
}

// asHashes returns the hashes, and false where one is not 32 bytes: the types of this
// package cannot hold such a one, and the readers of receipts and answers refuse it. The
// vectors have the words "don't care" for a root whose value is of no account: it is filled up.
func asHashes(raw ...[]byte) (hashes []Hash, ok bool) {
	for _, b := range raw {
		if bytes.HasPrefix(b, []byte("don't care")) {
			b = append(bytes.Clone(b), make([]byte, HashSize-len(b))...)
		}
		if len(b) != HashSize {
			return nil, false
		}
		hashes = append(hashes, Hash(b))
	}
	return hashes, true
}

// fromNothing is the one vector that is judged in another way here, and on purpose: it says that
// the empty tree, by its right root, is a prefix of another. The published verifier refuses to be
// asked, because the answer says nothing; here the answer is yes, and a reader that begins
// at size 0 needs no case of its own.
const fromNothing = "consistency/additional/size1-is-zero-and-size2-is-not-zero"

// TestPublishedProofs holds the verifiers against vectors that nobody here made: what is
// good is accepted, what is damaged is refused, and so is every good one with any one bit of
// its hashes changed.
func TestPublishedProofs(t *testing.T) {
	data, err := os.ReadFile("testdata/transparency-dev-proofs.json")
	if err != nil {
		t.Fatal(err)
	}
	var v published
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	accepted, refused := 0, 0
	check := func(name string, wantErr bool, raw [][]byte, verify func([]Hash) error) {
		hashes, ok := asHashes(raw...)
		if !ok {
			if refused++; !wantErr {
				t.Errorf("%s: it is good, and has a hash that is not 32 bytes", name)
			}
			return
		}
		if name == fromNothing {
			if err := verify(hashes); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		if err := verify(hashes); (err != nil) != wantErr {
			t.Errorf("%s: to be refused is %v: %v", name, wantErr, err)
		}
		if refused++; wantErr {
			return
		}
		refused--
		accepted++
		for i := range hashes {
			for bit := range HashSize * 8 {
				hashes[i][bit/8] ^= 1 << (bit % 8)
				if verify(hashes) == nil {
					t.Errorf("%s: bit %d of hash %d may be anything", name, bit, i)
				}
				hashes[i][bit/8] ^= 1 << (bit % 8)
			}
		}
	}
	for _, p := range v.Inclusion {
		check(p.Name, p.WantErr, append([][]byte{p.Root, p.LeafHash}, p.Proof...), func(h []Hash) error {
			return VerifyInclusion(SHA256, h[1], p.LeafIdx, p.TreeSize, h[2:], h[0])
		})
	}
	for _, p := range v.Consistency {
		check(p.Name, p.WantErr, append([][]byte{p.Root1, p.Root2}, p.Proof...), func(h []Hash) error {
			return VerifyConsistency(SHA256, p.Size1, h[0], p.Size2, h[1], h[2:])
		})
	}
	t.Logf("%d accepted, %d refused", accepted, refused)
	if accepted == 0 || refused == 0 {
		t.Error("nothing was read")
	}
}
