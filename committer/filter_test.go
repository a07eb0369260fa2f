package committer

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
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
			f := newIdentityFilter(test.maxBytes, 65536)
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

// TestFilterIsLoadedWhenItIsWorthIt: rising nonces never load it, random ones do, and then it has
// what the store had before and what came since: whatever is sent again is known.
func TestFilterIsLoadedWhenItIsWorthIt(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	b := newBench(t, Options{CheckpointEntries: 512})
	rising, low := newLoad(b, 512, 64), newLoad(b, 512, 64)
	var sent [][]byte // the records of requests
	book := func(l *load, accepted int) {
		t.Helper()
		r := &l.request
		r.Accepted, r.First, r.Last, r.Results = 0, 0, 0, r.Results[:0]
		if reason := b.Submit(r); reason != 0 {
			t.Fatal(reason)
		}
		<-l.done
		if int(r.Accepted) != accepted {
			t.Fatalf("accepted %d of %d, %d wanted: %v", r.Accepted, len(r.Ends), accepted, r.Results)
		}
	}
	for range 8 {
		rising.renew()
		book(rising, 512)
		sent = append(sent, slices.Clone(rising.request.Records))
	}
	f := b.ledger.filter
	select {
	case <-f.wanted:
		t.Fatal("rising nonces want the filter")
	default:
	}
	for rounds := 0; rounds < 4 || !f.complete.Load(); rounds++ {
		if rounds > 10_000 {
			t.Fatal("random nonces do not load the filter")
		}
		start := uint32(0)
		for _, end := range low.request.Ends {
			nonce := low.request.Records[start+16:][:16]
			binary.BigEndian.PutUint64(nonce, random.Uint64N(64)) // below those of the checkpoints
			binary.BigEndian.PutUint64(nonce[8:], random.Uint64())
			start = end
		}
		book(low, 512)
		sent = append(sent, slices.Clone(low.request.Records))
	}
	for _, records := range sent {
		copy(low.request.Records, records)
		book(low, 0)
	}
}

func BenchmarkFilter(b *testing.B) {
	f := newIdentityFilter(32<<20, 65536)
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
