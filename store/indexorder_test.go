package store

import (
	"bytes"
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The order of index rows is that of the keys that they get, again and again with the same buffers.
func TestIndexOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o indexOrder
		for range rapid.IntRange(1, 4).Draw(t, "checkpoints") {
			rows := make([]Indexed, rapid.IntRange(0, 300).Draw(t, "rows"))
			for i := range rows {
				rows[i] = Indexed{Identity{Account: rapid.Uint64Range(1, 4).Draw(t, "account")}, uint64(i + 1)}
				for _, at := range []int{0, 7, 8, 15} { // each end of each half
					rows[i].Nonce[at] = rapid.SampledFrom([]byte{0, 1, 0x80, 0xff}).Draw(t, "byte")
				}
			}
			want := slices.Clone(rows)
			byKey := func(a, b Indexed) int {
				return cmp.Or(bytes.Compare(appendIdentityKey(nil, keyIndex, &a.Identity), appendIdentityKey(nil, keyIndex, &b.Identity)), cmp.Compare(a.Seq, b.Seq))
			}
			slices.SortFunc(want, byKey)
			got := o.sort(rows)
			// Rows of one key, which no log has, may stand in any order.
			for i := range got {
				if got[i].Identity != want[i].Identity {
					t.Fatalf("row %d is %v, want %v", i, got[i], want[i])
				}
			}
			if slices.SortFunc(got, byKey); !slices.Equal(got, want) {
				t.Fatal("rows were lost")
			}
		}
	})
}
