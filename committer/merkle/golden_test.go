package merkle

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/roots.json anew: only when the tree was meant to change")

const goldenFile = "testdata/roots.json"

type goldenRoots struct {
	About string       `json:"about"`
	Roots []goldenRoot `json:"roots"`
}

type goldenRoot struct {
	Size   int  `json:"size"`
	Blake3 Hash `json:"blake3"`
	SHA256 Hash `json:"sha256"`
}

// TestGoldenRoots pins the roots of a fixed series of records, at the sizes where a tree has
// its edges, and holds them against the definition.
func TestGoldenRoots(t *testing.T) {
	sizes := make([]int, 0, 25)
	for size := range 21 {
		sizes = append(sizes, size)
	}
	sizes = append(sizes, 255, 256, 257, 1000)

	got := goldenRoots{About: "roots of the first `size` records of this series: the records of entries-and-roots.json " +
		"(entry, capability id, kid) in turn, from the first again after the last, with the record's index in the " +
		"nonce (offset 16, 16 bytes, little-endian)"}
	leaves := map[HashKind][]Hash{}
	for i := range sizes[len(sizes)-1] {
		for _, k := range kinds {
			leaves[k] = append(leaves[k], k.Leaf(testRecord(t, i)))
		}
	}
	for _, size := range sizes {
		root := goldenRoot{Size: size}
		for k, pinned := range map[HashKind]*Hash{Blake3: &root.Blake3, SHA256: &root.SHA256} {
			f := NewFrontier(k)
			f.AddAll(leaves[k][:size])
			*pinned = f.Root()
			if want := referenceRoot(k, leaves[k][:size]); *pinned != want {
				t.Fatalf("%v: root at size %d is %v, by the definition %v", k, size, *pinned, want)
			}
		}
		got.Roots = append(got.Roots, root)
	}
	text, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(goldenFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Fatalf("the roots are not those of %s:\n%s", goldenFile, text)
	}
}
