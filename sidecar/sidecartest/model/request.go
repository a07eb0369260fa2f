package model

import (
	"bytes"

	"github.com/rustyonions/ron-ledger/wire"
)

// Append judges a request and books what is good of it.
func (l *Ledger) Append(r *Request) Answer {
	l.undo = nil
	if r.Atomic {
		return l.appendAtomic(r)
	}
	var a Answer
	for i := range r.Entries {
		result := l.judge(&r.Entries[i], false)
		result.Index = i
		a.add(result, l.Size())
	}
	return a
}

// Try answers a request as Append would and books nothing.
func (l *Ledger) Try(r *Request) Answer {
	_, known := l.requests[r.IdemID]
	a := l.Append(r)
	l.takeBack()
	if !known {
		delete(l.requests, r.IdemID)
	}
	return a
}

// add notes what became of one entry; size is that of the ledger behind it.
func (a *Answer) add(result Result, size uint64) {
	if result.Outcome != 0 {
		a.Results = append(a.Results, result)
		return
	}
	if a.Accepted == 0 {
		a.First = size
	}
	a.Last = size
	a.Accepted++
}

// judge books f, or says why not. Outcome zero means that it is booked.
func (l *Ledger) judge(f *wire.Fields, atomic bool) Result {
	if reason := Shape(f); reason != 0 {
		return rejected(0, reason)
	}
	if seq := l.Seq(f.Account, f.Nonce); seq != 0 {
		if first := l.Entry(seq); same(f, &first) {
			return Result{Outcome: wire.OutcomeDuplicate, Seq: seq}
		}
		return rejected(0, wire.ReasonConflict)
	}
	effect, reason := l.effect(f, l.Size()+1)
	if reason != 0 {
		return rejected(0, reason)
	}
	if effect.leg && !atomic {
		return rejected(0, wire.ReasonUnbalanced)
	}
	changed, reason := l.outcome(&effect, number(f.Amount))
	if reason != 0 {
		return rejected(0, reason)
	}
	l.book(f, changed, effect.reverses)
	return Result{}
}

func rejected(index int, reason wire.Reason) Result {
	return Result{Index: index, Outcome: wire.OutcomeRejected, Reason: reason}
}

// same reports whether two entries are equal in all but their time.
func same(a, b *wire.Fields) bool {
	return a.Kind == b.Kind && a.Account == b.Account && a.Counterparty == b.Counterparty && a.Asset == b.Asset &&
		a.Amount == b.Amount && a.Nonce == b.Nonce && a.Ref == b.Ref && bytes.Equal(a.Memo, b.Memo)
}

// appendAtomic books all entries of r or none.
func (l *Ledger) appendAtomic(r *Request) Answer {
	for i := range r.Entries {
		if reason := Shape(&r.Entries[i]); reason != 0 {
			return refused(i, reason)
		}
	}
	if first, known := l.requests[r.IdemID]; known && r.IdemID != [16]byte{} {
		return l.repeated(r, first)
	}
	for c := range l.cells {
		if c.table == credits || c.table == debits {
			delete(l.cells, c)
		}
	}
	a, legs := Answer{}, []leg(nil)
	for i := range r.Entries {
		result := l.judge(&r.Entries[i], true)
		result.Index = i
		if result.Outcome == wire.OutcomeRejected {
			l.takeBack()
			return refused(i, result.Reason)
		}
		a.add(result, l.Size())
		if result.Outcome == 0 && l.isLeg(&r.Entries[i]) {
			legs = append(legs, leg{i, r.Entries[i].Asset})
		}
	}
	for _, leg := range legs {
		if l.count(cell{table: credits, asset: leg.asset}).Cmp(l.count(cell{table: debits, asset: leg.asset})) != 0 {
			l.takeBack()
			return refused(leg.index, wire.ReasonUnbalanced)
		}
	}
	if a.Accepted > 0 && len(a.Results) > 0 {
		l.takeBack()
		return refused(a.Results[0].Index, wire.ReasonConflict)
	}
	if a.Accepted > 0 && r.IdemID != [16]byte{} {
		l.requests[r.IdemID] = span{first: a.First, count: len(r.Entries)}
	}
	return a
}

func refused(index int, reason wire.Reason) Answer {
	return Answer{Results: []Result{rejected(index, reason)}}
}

// leg is where an atomic request moves money without naming where it goes.
type leg struct {
	index int
	asset wire.Asset
}

// isLeg reports whether a booked entry is a Credit or Debit, or undoes one.
func (l *Ledger) isLeg(f *wire.Fields) bool {
	kind := f.Kind
	if kind == wire.KindReverse {
		kind = l.Entry(l.Seq(f.Account, f.Ref)).Kind
	}
	return kind == wire.KindCredit || kind == wire.KindDebit
}

// repeated answers a request whose idem_id is known.
func (l *Ledger) repeated(r *Request, first span) Answer {
	if len(r.Entries) != first.count {
		return refused(0, wire.ReasonConflict)
	}
	var a Answer
	for i := range r.Entries {
		seq := first.first + uint64(i)
		booked := l.Entry(seq)
		if !same(&r.Entries[i], &booked) {
			return refused(i, wire.ReasonConflict)
		}
		a.Results = append(a.Results, Result{Index: i, Outcome: wire.OutcomeDuplicate, Seq: seq})
	}
	return a
}
