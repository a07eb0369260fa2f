package audit

import (
	"errors"
	"iter"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// exported is a log as an export has it.
func exported(kind merkle.HashKind, log []request) *Records {
	var all []store.Record
	for _, r := range log {
		for _, b := range r.records {
			all = append(all, store.Record{Seq: uint64(len(all) + 1), TimeMs: r.timeMs, Bytes: b})
		}
	}
	leaves := make([]merkle.Hash, len(all))
	for i := range all {
		leaves[i] = kind.Leaf(all[i].Bytes)
	}
	return &Records{
		Kind: kind,
		All: iter.Seq2[store.Record, error](func(yield func(store.Record, error) bool) {
			for _, r := range all {
				if !yield(r, nil) {
					return
				}
			}
		}),
		Record: func(seq uint64, dst []byte) ([]byte, error) { return append(dst, all[seq-1].Bytes...), nil },
		Leaf:   func(seq uint64) (merkle.Hash, bool, error) { return leaves[seq-1], true, nil },
	}
}

// An export is counted by the same rules: each bit of each record is found beside the
// leaves that a tile gives, and without those it leads to another root.
func TestVerifyRecords(t *testing.T) {
	for _, kind := range kinds {
		log := sound(t, kind)
		root := log[len(log)-1].root
		r := exported(kind, log)
		if report, err := VerifyRecords(t.Context(), r, nil); err != nil || report.Size != 10 || report.Root != root || report.Accounts != 3 {
			t.Fatalf("%v: %+v: %v", kind, report, err)
		}
		seq := uint64(0)
		for i := range log {
			for _, record := range log[i].records {
				seq++
				for bit := range len(record) * 8 {
					record[bit/8] ^= 1 << (bit % 8)
					_, err := VerifyRecords(t.Context(), r, nil)
					var finding *Finding
					if !errors.As(err, &finding) || finding.First != seq || finding.Last != seq {
						t.Errorf("%v: bit %d of entry %d: %v", kind, bit, seq, err)
					}
					bare := *r
					bare.Leaf = nil
					if report, err := VerifyRecords(t.Context(), &bare, nil); err == nil && report.Root == root {
						t.Errorf("%v: bit %d of entry %d leads to the same root", kind, bit, seq)
					}
					record[bit/8] ^= 1 << (bit % 8)
				}
			}
		}
	}
}

// A leg without its other side is found where the time changes.
func TestVerifyRecordsSettles(t *testing.T) {
	log := sound(t, merkle.SHA256)
	log[5].records = log[5].records[:1]
	r := exported(merkle.SHA256, log)
	_, err := VerifyRecords(t.Context(), r, nil)
	var finding *Finding
	if !errors.As(err, &finding) || finding.First != 6 || finding.Last != 6 {
		t.Errorf("%v", err)
	}
}
