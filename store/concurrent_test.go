package store

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestReadersBesideTheWriter reads records, listings and look-ups while commits, checkpoints and
// prunings go on.
func TestReadersBesideTheWriter(t *testing.T) {
	s := open(t, Options{FS: Memory(), MemtableBytes: 256 << 10})
	defer closeStore(t, s)
	seed := newSeed(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range uint64(3) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, i))
			for {
				select {
				case <-stop:
					return
				default:
					readSomething(t, s, rng)
				}
			}
		})
	}
	l := newLedger(seed)
	before := uint64(0)
	for i := range 150 {
		mustAppend(t, s, l.randomCommit(300))
		if i%10 == 9 {
			mustCheckpoint(t, s, l.checkpoint(before))
			before = l.size
			if err := s.Prune(before / 2); err != nil {
				t.Error(err)
			}
			if err := s.SyncHead(); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	wg.Wait()
}

func readSomething(t *testing.T, s *Store, rng *rand.Rand) {
	tail, err := s.Last()
	if err != nil {
		t.Error(err)
	}
	if tail.Size == 0 {
		return
	}
	seq := tail.First + rng.Uint64N(tail.Size-tail.First+1)
	record, err := s.Record(seq, nil)
	if err == nil {
		nonce := nonceOf(seq)
		if !bytes.Equal(record[16:32], nonce[:]) || int(binary.LittleEndian.Uint16(record))+stampBytes != len(record) {
			t.Errorf("record %d is another", seq)
		}
	} else if s.durable().First <= seq {
		t.Error(err)
	}
	if got, ok, err := s.LookupIdentity(Identity{nonceOf(seq), 1}); err != nil || ok && got != seq {
		t.Errorf("identity of %d: %d, %v, %v", seq, got, ok, err)
	}
	listing, err := s.Balances()
	if err != nil {
		t.Error(err)
		return
	}
	for row, err := range listing.Rows(nil) {
		if err != nil || row.Available != u128(listing.Mark().Size) {
			t.Errorf("balance %x as of %d: %v", row.Available, listing.Mark().Size, err)
		}
	}
	if err := listing.Close(); err != nil {
		t.Error(err)
	}
	_ = s.Metrics()
}
