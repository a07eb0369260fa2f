package merkle

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// eachWay runs a test with the lanes of the processor, where it has them, and without.
func eachWay(t *testing.T, test func(t *testing.T)) {
	for _, on := range []bool{true, false} {
		if on && !haveLanes {
			t.Log("this processor has no lanes: one way only")
			continue
		}
		t.Run(fmt.Sprintf("lanes=%t", on), func(t *testing.T) {
			defer func(have bool) { haveLanes = have }(haveLanes)
			haveLanes = on
			test(t)
		})
	}
}

// recordsOf returns records of so many bytes back to back, each with other content, and where they end.
func recordsOf(lengths []int) (records []byte, ends []uint32) {
	random := rand.NewChaCha8([32]byte{byte(len(lengths))})
	for _, n := range lengths {
		at := len(records)
		records = append(records, make([]byte, n)...)
		_, _ = random.Read(records[at:])
		ends = append(ends, uint32(len(records)))
	}
	return records, ends
}

// checkLeaves holds AppendLeaves against the definition, and wants what stood before them untouched.
func checkLeaves(t interface{ Fatalf(string, ...any) }, k HashKind, lengths []int) {
	records, ends := recordsOf(lengths)
	leaves := k.AppendLeaves([]Hash{{1}, {2}}, records, ends)
	if len(leaves) != 2+len(lengths) || leaves[0] != (Hash{1}) || leaves[1] != (Hash{2}) {
		t.Fatalf("%v: %d leaves of %d records, %v", k, len(leaves)-2, len(lengths), leaves[:2])
	}
	start := uint32(0)
	for i, end := range ends {
		if want := referenceLeaf(k, records[start:end]); leaves[2+i] != want {
			t.Fatalf("%v: lengths %v: leaf %d is %v, want %v", k, lengths, i, leaves[2+i], want)
		}
		start = end
	}
}

func TestAppendLeaves(t *testing.T) {
	eachWay(t, func(t *testing.T) {
		for _, k := range kinds {
			for count := range 40 {
				lengths := make([]int, count)
				for i := range lengths {
					lengths[i] = 224
				}
				checkLeaves(t, k, lengths)
			}
			for n := range MaxRecordSize + 2 { // beside shorter and longer ones
				checkLeaves(t, k, []int{n, 104, n, 1024, n, n + 1})
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			checkLeaves(t, Blake3, rapid.SliceOfN(rapid.IntRange(0, MaxRecordSize+1), 0, 50).Draw(t, "lengths"))
		})
	})
}

// FuzzAppendLeaves: side by side they are what they are one by one.
func FuzzAppendLeaves(f *testing.F) {
	f.Add([]byte{0, 0, 104, 0, 224, 0, 64, 0, 128, 0, 0, 4, 1, 4}, []byte("content"))
	f.Fuzz(func(t *testing.T, lengths, content []byte) {
		var records []byte
		var ends []uint32
		for ; len(lengths) >= 2 && len(ends) < 64; lengths = lengths[2:] {
			n := int(binary.LittleEndian.Uint16(lengths)) % (MaxRecordSize + 2)
			for i := range n {
				b := byte(len(ends) + i)
				if len(content) > 0 {
					b ^= content[(len(records))%len(content)]
				}
				records = append(records, b)
			}
			ends = append(ends, uint32(len(records)))
		}
		start := uint32(0)
		for i, leaf := range Blake3.AppendLeaves(nil, records, ends) {
			if want := referenceLeaf(Blake3, records[start:ends[i]]); leaf != want {
				t.Fatalf("leaf %d, of %d bytes, is %v, want %v", i, ends[i]-start, leaf, want)
			}
			start = ends[i]
		}
	})
}

// TestNodes makes every count of nodes up to a block's, into another row and in place.
func TestNodes(t *testing.T) {
	eachWay(t, func(t *testing.T) {
		for _, k := range kinds {
			pairs := testLeaves(k, 2*40+1)
			for n := range len(pairs) / 2 {
				row := make([]Hash, n+1)
				k.nodes(row, pairs[:2*n])
				inPlace := append([]Hash(nil), pairs[:2*n]...)
				k.nodes(inPlace, inPlace)
				for i := range n {
					if want := referenceNode(k, pairs[2*i], pairs[2*i+1]); row[i] != want || inPlace[i] != want {
						t.Fatalf("%v: node %d of %d is %v, in place %v, want %v", k, i, n, row[i], inPlace[i], want)
					}
				}
				if row[n] != (Hash{}) {
					t.Fatalf("%v: something is written behind %d nodes", k, n)
				}
			}
		}
	})
}

// TestTreeEachWay makes the tree's own tests without lanes, too.
func TestTreeEachWay(t *testing.T) {
	eachWay(t, func(t *testing.T) {
		TestFrontierInAnyBatching(t)
		TestRestoreFrontierRefuses(t)
	})
}

func TestLanesDoNotAllocate(t *testing.T) {
	records, ends := recordsOf([]int{224, 104, 1024, 2048, 300, 64, 65, 127, 128, 400, 224})
	leaves := make([]Hash, 0, len(ends))
	for _, k := range kinds {
		if n := testing.AllocsPerRun(100, func() { leaves = k.AppendLeaves(leaves[:0], records, ends) }); n != 0 {
			t.Errorf("%v: %v allocations", k, n)
		}
	}
}

func BenchmarkAppendLeaves(b *testing.B) {
	for _, k := range kinds {
		for _, count := range []int{1, 2, 16, 1000} {
			b.Run(fmt.Sprintf("%v/records=%d", k, count), func(b *testing.B) {
				lengths := make([]int, count)
				for i := range lengths {
					lengths[i] = 224
				}
				records, ends := recordsOf(lengths)
				leaves := make([]Hash, 0, count)
				b.ReportAllocs()
				for b.Loop() {
					leaves = k.AppendLeaves(leaves[:0], records, ends)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/leaf")
			})
		}
	}
}

func BenchmarkAppendBlocks(b *testing.B) {
	for _, k := range kinds {
		for _, count := range []int{1, 16, 1000} {
			b.Run(fmt.Sprintf("%v/leaves=%d", k, count), func(b *testing.B) {
				leaves := testLeaves(k, count)
				blocks := make([]Hash, 0, 8)
				f := NewFrontier(k)
				b.ReportAllocs()
				for b.Loop() {
					blocks = f.AppendBlocks(blocks[:0], leaves)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/leaf")
			})
		}
	}
}

func BenchmarkCompress8(b *testing.B) {
	if !haveLanes {
		return // a processor without
	}
	var cvs [lanes]Hash
	var blocks [lanes]*byte
	for lane := range lanes {
		blocks[lane] = &make([]byte, 64)[0]
	}
	for b.Loop() {
		compress8(&cvs, &blocks, &nodeLengths, &nodeFlags)
	}
}
