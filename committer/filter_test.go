package committer

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/rustyonions/ron-ledger/store"
)

func randomIdentity(random *rand.Rand) (id store.Identity) {
	binary.LittleEndian.PutUint64(id.Nonce[:], random.Uint64())
	binary.LittleEndian.PutUint64(id.Nonce[8:], random.Uint64())
	id.Account = random.Uint64N(1000)
	return id
}

// TestFilterHasWhatWasAdded holds the one property that correctness needs, over
// several links and beyond the room of the last, and that it is worth its memory.
func TestFilterHasWhatWasAdded(t *testing.T) {
	for _, test := range []struct {
		maxBytes, keys int
		through        float64 // share of foreign keys let through, at most
	}{{1 << 20, 100_000, 0.01}, {1 << 20, 700_000, 0.03}, {8 << 20, 3_000_000, 0.08}, {64 << 10, 1_000_000, 1}} {
		t.Run(fmt.Sprintf("%d bytes %d keys", test.maxBytes, test.keys), func(t *testing.T) {
			f := newIdentityFilter(test.maxBytes)
			seed := rand.Uint64()
			random := rand.New(rand.NewPCG(seed, 1))
			if foreign := randomIdentity(rand.New(rand.NewPCG(seed, 3))); !f.mayHave(&foreign) {
				t.Fatal("an incomplete filter denies")
			}
			f.complete.Store(true)
			for range test.keys {
				id := randomIdentity(random)
				f.add(&id)
			}
			random = rand.New(rand.NewPCG(seed, 1))
			for range test.keys {
				if id := randomIdentity(random); !f.mayHave(&id) {
					t.Fatalf("seed %d: an identity that was added is denied", seed)
				}
			}
			through := 0
			random = rand.New(rand.NewPCG(seed, 2))
			const foreign = 100_000
			for range foreign {
				if id := randomIdentity(random); f.mayHave(&id) {
					through++
				}
			}
			bytes := 0
			for _, l := range *f.links.Load() {
				bytes += len(l.words) * 8
			}
			t.Logf("%d links, %d bytes, %.2f %% let through", len(*f.links.Load()), bytes, 100*float64(through)/foreign)
			if share := float64(through) / foreign; share > test.through {
				t.Errorf("%.2f %% let through, at most %.2f %% wanted", 100*share, 100*test.through)
			}
			if bytes > test.maxBytes {
				t.Errorf("the filter has %d bytes, at most %d allowed", bytes, test.maxBytes)
			}
		})
	}
}

func BenchmarkFilter(b *testing.B) {
	f := newIdentityFilter(32 << 20)
	f.complete.Store(true)
	random := rand.New(rand.NewPCG(1, 1))
	for range 10_000_000 {
		id := randomIdentity(random)
		f.add(&id)
	}
	b.Run("miss", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			id := randomIdentity(random)
			f.mayHave(&id)
		}
	})
	b.Run("add", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			id := randomIdentity(random)
			f.add(&id)
		}
	})
}
