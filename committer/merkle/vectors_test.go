package merkle

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"sync"
	"testing"
)

// vectors are made by another program with another BLAKE3 and the recursive definition of the
// tree: see testdata/entries-and-roots.json.
type vectors struct {
	Entries []struct {
		EntryHex     string `json:"entry_hex"`
		CapabilityID string `json:"capability_id"`
		KID          string `json:"kid"`
		LeafBlake3   Hash   `json:"leaf_blake3"`
		LeafSHA256   Hash   `json:"leaf_sha256"`
	} `json:"entries"`
	Roots []struct {
		Size   int  `json:"size"`
		Blake3 Hash `json:"blake3"`
		SHA256 Hash `json:"sha256"`
	} `json:"roots"`
}

// record returns the record of entry i: its bytes, the capability id, the key id.
func (v *vectors) record(t testing.TB, i int) []byte {
	t.Helper()
	e := v.Entries[i]
	record, err := hex.DecodeString(e.EntryHex + e.CapabilityID + e.KID)
	if err != nil {
		t.Fatalf("entry %d: %v", i, err)
	}
	return record
}

var readVectors = sync.OnceValues(func() (*vectors, error) {
	data, err := os.ReadFile("testdata/entries-and-roots.json")
	if err != nil {
		return nil, err
	}
	v := new(vectors)
	return v, json.Unmarshal(data, v)
})

func loadVectors(t testing.TB) *vectors {
	t.Helper()
	v, err := readVectors()
	if err != nil {
		t.Fatalf("read vectors: %v", err)
	}
	return v
}

// testRecord returns record number i of an endless series: the vectors' records in turn, with
// i as the nonce (the bytes 16..31 of the entry) so that no two are the same.
func testRecord(t testing.TB, i int) []byte {
	t.Helper()
	v := loadVectors(t)
	record := v.record(t, i%len(v.Entries))
	clear(record[16:32])
	binary.LittleEndian.PutUint64(record[16:], uint64(i))
	return record
}

func TestVectors(t *testing.T) {
	v := loadVectors(t)
	if len(v.Entries) != 300 || len(v.Roots) != 42 {
		t.Fatalf("%d entries and %d roots, want 300 and 42", len(v.Entries), len(v.Roots))
	}
	for _, k := range kinds {
		f := NewFrontier(k)
		roots := []Hash{f.Root()}
		for i, e := range v.Entries {
			want := e.LeafBlake3
			if k == SHA256 {
				want = e.LeafSHA256
			}
			leaf := k.Leaf(v.record(t, i))
			if leaf != want {
				t.Fatalf("%v: leaf %d is %v, want %v", k, i, leaf, want)
			}
			f.Add(leaf)
			roots = append(roots, f.Root())
		}
		for _, r := range v.Roots {
			want := r.Blake3
			if k == SHA256 {
				want = r.SHA256
			}
			if roots[r.Size] != want {
				t.Errorf("%v: root at size %d is %v, want %v", k, r.Size, roots[r.Size], want)
			}
		}
	}
}
