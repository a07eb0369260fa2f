package writers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// journals makes two writers with an acknowledged, an unanswered and an atomic request each, and the log that
// a ledger has of what was acknowledged.
func journals(t *testing.T) (*Load, *Log) {
	t.Helper()
	load, log := New(7, 2), NewLog()
	seq := uint64(0)
	for _, w := range load.writers {
		for i := range 3 {
			s := w.next()
			s.batch.Atomic = i == 2
			s.tries = 1
			if i == 1 {
				continue
			}
			for j := range s.nonces {
				seq++
				s.seqs = append(s.seqs, seq)
				if err := log.Add(seq, s.batch.Entry(j)); err != nil {
					t.Fatal(err)
				}
			}
			s.acked, s.size, s.root = true, seq, merkle.Hash{byte(seq)}
			log.Root(seq, s.root)
		}
	}
	return load, log
}

// TestHold holds a log that is as it should be, and one for each way in which it is not.
func TestHold(t *testing.T) {
	for _, c := range []struct {
		name, says string
		harm       func(load *Load, log *Log)
	}{
		{"as it should be", "", func(*Load, *Log) {}},
		{"an acknowledged entry is gone", "and lost", func(load *Load, log *Log) {
			delete(log.entries, load.writers[1].journal[0].nonces[0])
		}},
		{"an entry has another number", "found as", func(load *Load, log *Log) {
			nonce := load.writers[0].journal[0].nonces[0]
			log.entries[nonce] = logged{log.entries[nonce].seq + 1000, log.entries[nonce].entry}
		}},
		{"an entry has other bytes", "other bytes", func(load *Load, log *Log) {
			entry := log.entries[load.writers[0].journal[0].nonces[0]].entry
			entry[len(entry)-1] ^= 1
		}},
		{"a root is another", "acknowledged under root", func(load *Load, log *Log) {
			log.Root(load.writers[0].journal[0].size, merkle.Hash{})
		}},
		{"an entry that nobody sent", "sent by nobody", func(load *Load, log *Log) {
			stranger := NewFrom(200, 1, 1).writers[0].next()
			_ = log.Add(1000, stranger.batch.Entry(0))
		}},
		{"an entry before it was sent", "never sent", func(load *Load, log *Log) {
			early := load.writers[0].journal[1]
			early.tries = 0
			_ = log.Add(1000, early.batch.Entry(0))
		}},
		{"an unanswered request, whole", "", func(load *Load, log *Log) {
			for i, s := 0, load.writers[0].journal[1]; i < len(s.nonces); i++ {
				_ = log.Add(1000+uint64(i), s.batch.Entry(i))
			}
		}},
		{"a part of an atomic request", "of an atomic request are there", func(load *Load, log *Log) {
			w := load.writers[0]
			s := w.next()
			for len(s.nonces) < 2 {
				s = w.next()
			}
			s.batch.Atomic, s.tries = true, 1
			_ = log.Add(1000, s.batch.Entry(0))
		}},
		{"a wrong answer", "a wrong answer", func(load *Load, _ *Log) { load.writers[0].note(errAnswer) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			load, log := journals(t)
			c.harm(load, log)
			err := Hold(log, load)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("Hold says %v, want …%s…", err, c.says)
			}
		})
	}
}

// TestHoldCut holds a log that lacks its end, one that lacks more or less than that, and one that was cut amid a request.
func TestHoldCut(t *testing.T) {
	last := func(load *Load) *sent { return load.writers[1].journal[2] }
	lose := func(r *sent, log *Log, from int) {
		for _, nonce := range r.nonces[from:] {
			delete(log.entries, nonce)
		}
	}
	for _, c := range []struct {
		name, says string
		harm       func(load *Load, log *Log) (end uint64)
	}{
		{"the end is missing", "", func(load *Load, log *Log) uint64 {
			lose(last(load), log, 0)
			return last(load).seqs[0] - 1
		}},
		{"more is missing", "and lost", func(load *Load, log *Log) uint64 {
			lose(load.writers[0].journal[0], log, 0)
			lose(last(load), log, 0)
			return last(load).seqs[0] - 1
		}},
		{"less is missing", "said to be missing", func(load *Load, _ *Log) uint64 { return last(load).seqs[0] - 1 }},
		{"a request was cut apart", "entries", func(load *Load, log *Log) uint64 {
			r := last(load)
			for i := 1; len(r.nonces) < 2; i++ { // drawn with one entry: another is as good
				r = load.writers[i%2].journal[0]
			}
			lose(r, log, 1)
			return r.seqs[0]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			load, log := journals(t)
			n := log.Len()
			cut, err := HoldCut(log, load, c.harm(load, log))
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("HoldCut says %v, want …%s…", err, c.says)
			}
			if err == nil && (!slices.Equal(cut.Missing, last(load).seqs) || cut.Kept != 3 || cut.There+len(cut.Missing) != n) {
				t.Errorf("%+v of %d", cut, n)
			}
		})
	}
}

// TestLogHoldsANonceOnce refuses what is there twice.
func TestLogHoldsANonceOnce(t *testing.T) {
	load, log := journals(t)
	if err := log.Add(1000, load.writers[0].journal[0].batch.Entry(0)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("Add says %v", err)
	}
}

// TestLoadsStayApart makes requests of two loads of one seed: no nonce is the same.
func TestLoadsStayApart(t *testing.T) {
	seen := map[string]bool{}
	for _, load := range []*Load{New(1, 3), NewFrom(3, 1, 3)} {
		for _, w := range load.writers {
			for range 20 {
				for _, nonce := range w.next().nonces {
					if seen[nonce.String()] {
						t.Fatalf("the nonce %s is used twice", nonce)
					}
					seen[nonce.String()] = true
				}
			}
		}
	}
}

// TestServed waits for requests that were made after a time, and for each writer.
func TestServed(t *testing.T) {
	load := New(1, 2)
	since := time.Now()
	for _, w := range load.writers {
		if load.writers[1].servedAfter(since) || w.servedAfter(since) {
			t.Fatal("served before any answer")
		}
		w.served = since.Add(time.Millisecond)
	}
	if err := load.Served(t.Context(), since); err != nil {
		t.Error(err)
	}
}
