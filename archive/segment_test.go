package archive

import (
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

func FuzzSegment(f *testing.F) {
	s := &Segment{Hash: merkle.Blake3, First: 1, Last: 1, Commits: 1, Root: merkle.Hash{1}}
	c := store.Commit{First: 1, Count: 1, Records: make([]byte, 104), Root: s.Root}
	c.Records[0] = 80
	object, err := s.encode(appendCommit(nil, &c))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(object[segmentHeaderLen:len(object)-checksumLen], uint64(len(appendCommit(nil, &c))))
	f.Fuzz(func(t *testing.T, frame []byte, rawLen uint64) {
		s := &Segment{Hash: merkle.Blake3, First: 1, Last: 1, Commits: 1, Root: merkle.Hash{1}, frame: frame, rawLen: rawLen % (1 << 20)}
		for c, err := range s.All() {
			if err != nil {
				break
			}
			if c.Count != len(c.Ends) || int(c.Ends[c.Count-1]) != len(c.Records) {
				t.Fatalf("%d records, %d ends and %d bytes do not belong together", c.Count, len(c.Ends), len(c.Records))
			}
		}
	})
}
