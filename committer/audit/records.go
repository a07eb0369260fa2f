package audit

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Records is a ledger without its commits, as an export has it: numbers, records, and the times
// of their commits where the export has those (else zero).
type Records struct {
	Kind merkle.HashKind
	All  iter.Seq2[store.Record, error]
	// Record appends a record that All has yielded before: a reversal names one.
	Record func(seq uint64, dst []byte) ([]byte, error)
	// Leaf returns the hash that the export gives for a leaf, and false where it gives none.
	Leaf func(seq uint64) (merkle.Hash, bool, error)
}

// VerifyRecords audits an export: numbers without a gap, records that decode, no identity
// twice, no balance below zero, reversals, holds, and the root, which is the caller's to compare
// with a signed one. Where a commit ends an export does not say; so what has to hold at the end of
// a request, that legs are even and balances are the supply, is asked where the time
// changes, and at the end. What is wrong is a *Finding.
func VerifyRecords(ctx context.Context, r *Records, progress func(done uint64)) (Report, error) {
	frontier := merkle.NewFrontier(r.Kind)
	b := newBooks(r.Record)
	report := func() Report {
		return Report{Size: frontier.Size(), Accounts: uint64(len(b.accounts)), Root: frontier.Root()}
	}
	first, timeMs := uint64(1), int64(math.MinInt64)
	for record, err := range r.All {
		seq := frontier.Size() + 1
		if err != nil {
			return report(), &Finding{seq, seq, err}
		}
		if record.Seq != seq {
			return report(), &Finding{seq, seq, fmt.Errorf("it is missing: the export goes on at %d", record.Seq)}
		}
		if record.TimeMs < timeMs {
			return report(), &Finding{seq, seq, fmt.Errorf("the time of its commit, %d, is before that of the entry before, %d", record.TimeMs, timeMs)}
		}
		if record.TimeMs > timeMs {
			if err := b.settle(); err != nil {
				return report(), &Finding{first, seq - 1, err}
			}
			first, timeMs = seq, record.TimeMs
			b.groupFirst, b.groupLast = first, math.MaxUint64 // until the time changes
		}
		leaf := r.Kind.Leaf(record.Bytes)
		if err := r.check(seq, record.Bytes, leaf, b); err != nil {
			return report(), err
		}
		frontier.Add(leaf)
		if seq%chunkRecords != 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return report(), err
		}
		if progress != nil {
			progress(seq)
		}
	}
	if err := b.settle(); err != nil {
		return report(), &Finding{first, frontier.Size(), err}
	}
	return report(), nil
}

// check books one record.
func (r *Records) check(seq uint64, b []byte, leaf merkle.Hash, books *books) error {
	record, fault := wire.NextRecord(b)
	if fault.OK() && len(record) != len(b) {
		fault = wire.Fault{Reason: wire.ReasonMalformed, Offset: len(record), Detail: "bytes follow the record"}
	}
	if !fault.OK() {
		return &Finding{seq, seq, fault}
	}
	if r.Leaf != nil {
		said, known, err := r.Leaf(seq)
		if err != nil {
			return &Finding{seq, seq, err}
		}
		if known && said != leaf {
			return &Finding{seq, seq, fmt.Errorf("its hash is %v, the tile says %v", leaf, said)}
		}
	}
	return books.book(seq, record.Entry())
}
