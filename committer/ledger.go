package committer

import (
	"bytes"
	"errors"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// hold is what is left of money that was set aside.
type hold struct {
	asset     wire.Asset
	remaining wire.Amount
}

// recent is what became known during one checkpoint interval, in the form in
// which it is asked for. What is older lies in the store.
type recent struct {
	identities map[store.Identity]uint64 // sequence number of the entry
	highest    wire.Nonce                // no nonce above it is among them
	holds      map[store.Identity]hold   // zero remaining: nothing is left
	reversed   map[uint64]uint64         // sequence numbers of original and reversal
	requests   map[[16]byte]store.RequestRow
}

func newRecent(entries int) recent {
	return recent{
		identities: make(map[store.Identity]uint64, entries),
		holds:      make(map[store.Identity]hold),
		reversed:   make(map[uint64]uint64),
		requests:   make(map[[16]byte]store.RequestRow),
	}
}

// sequence returns the sequence number of an identity. Nonces that rise, as those of UUIDv7 do, are not looked for
// among those that came before them.
func (r *recent) sequence(id *store.Identity) (seq uint64, known bool) {
	if bytes.Compare(id.Nonce[:], r.highest[:]) > 0 {
		return 0, false
	}
	seq, known = r.identities[*id]
	return seq, known
}

// clear forgets everything and keeps the room.
func (r *recent) clear() {
	clear(r.identities)
	clear(r.holds)
	clear(r.reversed)
	clear(r.requests)
	r.highest = wire.Nonce{}
}

func (r *recent) remember(id store.Identity, seq uint64) {
	r.identities[id] = seq
	if bytes.Compare(id.Nonce[:], r.highest[:]) > 0 {
		r.highest = id.Nonce
	}
}

// ledger is the rules as a state machine: entries in, verdicts out. It has no
// clock, no goroutine and no I/O but look-ups of what is older than the last
// checkpoint. Its owner is the committer's goroutine; at start, recovery.
//
// What changed since the last checkpoint was cut lies in current and rows; what
// changed in the interval before, while its checkpoint is being written, in
// frozen. Both are asked before the store.
type ledger struct {
	store    *store.Store
	accounts accountTable
	sums     map[wire.Asset]*sum

	seq         uint64 // of the newest entry; entries are numbered from 1 without gap
	nextAccount uint64
	frontier    merkle.Frontier
	highest     wire.Nonce // no nonce above it is in the store: UUIDv7 needs no look-up
	filter      *identityFilter
	window      uint64 // entries whose identity is remembered; 0 = all, for ever
	epoch       Epoch  // in force behind seq
	kept        uint64 // entries before it may have no body any more; nothing is decided by their bodies
	alone       bool   // the entry that is judged is a commit of its own, not of a client: it may be an Epoch

	current recent
	frozen  recent
	rows    *store.Checkpoint // rows of the current interval
	// Intervals are numbered from 1. settled is the last one whose checkpoint is
	// complete: settled <= interval-1.
	interval uint64
	settled  uint64

	// The request that is being judged.
	noting      bool
	undos       []undo
	legs        []*sum
	at          int // index of the entry in its request
	request     uint64
	touchedSums []*sum
	atomic      bool

	// find returns the bytes of the record with that sequence number.
	find    func(seq uint64) (wire.Entry, error)
	scratch []byte
}

// verdict is what the rules say of one entry.
type verdict struct {
	outcome wire.Outcome
	reason  wire.Reason
	detail  string // for people
	seq     uint64 // of the entry itself, or of the one that it repeats
	err     error  // a look-up failed, so nothing could be decided
}

// booked is the outcome of an entry that is plainly new.
const booked wire.Outcome = 0

func accepted() verdict { return verdict{} }

func rejected(reason wire.Reason, detail string) verdict {
	return verdict{outcome: wire.OutcomeRejected, reason: reason, detail: detail}
}

func undecided(err error) verdict {
	return verdict{outcome: wire.OutcomeRejected, reason: wire.ReasonInternal, detail: "a look-up failed: nothing was booked", err: err}
}

// judge decides about one entry of valid shape and, when it is accepted, books
// it under the next sequence number. Reasons have the precedence in which they
// are checked here: identity (duplicate, conflict), then ref (unknown_ref,
// already_reversed), then place (unbalanced), then funds, then overflow.
func (l *ledger) judge(e wire.Entry) verdict {
	a, err := l.account(e.Account())
	if err != nil {
		return undecided(err)
	}
	if a != nil {
		if v, known := l.repeated(a, e); known {
			return v
		}
	}
	v := l.apply(a, e)
	if v.outcome != booked {
		return v
	}
	l.seq++
	v.seq = l.seq
	if a == nil {
		a = l.open(e.Account(), nil)
	}
	l.remember(store.Identity{Nonce: e.Nonce(), Account: a.number}, l.seq)
	return v
}

// repeated reports whether the identity of e is known and what follows.
func (l *ledger) repeated(a *account, e wire.Entry) (verdict, bool) {
	first, seq, err := l.lookUp(a, e.Nonce())
	if errors.Is(err, errPruned) {
		return l.repeatedPruned(seq, e), true
	}
	if err != nil {
		return undecided(err), true
	}
	if first == nil {
		return verdict{}, false
	}
	if !e.SameContent(first) {
		return rejected(wire.ReasonConflict, "account and nonce were used before with other content"), true
	}
	return verdict{outcome: wire.OutcomeDuplicate, seq: seq}, true
}

// repeatedPruned is repeated for an identity whose entry may have no body any more.
func (l *ledger) repeatedPruned(seq uint64, e wire.Entry) verdict {
	same, err := l.same(seq, e)
	switch {
	case err != nil:
		return undecided(err)
	case !same:
		return rejected(wire.ReasonConflict, "account and nonce were used before with other content")
	}
	return verdict{outcome: wire.OutcomeDuplicate, seq: seq}
}

// lookUp returns the entry of an account with that nonce, in a buffer that the
// next look-up uses again, and its sequence number; nil when there is none. What
// the index says is held against the record: after a loss of the log's end it may
// name a number that was given to another entry since.
func (l *ledger) lookUp(a *account, nonce wire.Nonce) (wire.Entry, uint64, error) {
	seq, known, err := l.sequence(store.Identity{Nonce: nonce, Account: a.number})
	if err != nil || !known {
		return nil, 0, err
	}
	if seq < l.kept {
		return nil, seq, errPruned
	}
	e, err := l.find(seq)
	if err != nil {
		return nil, 0, err
	}
	if e.Nonce() != nonce || !bytes.Equal(e.Account(), a.name) {
		return nil, 0, nil
	}
	return e, seq, nil
}

// remember makes an accepted entry known.
func (l *ledger) remember(id store.Identity, seq uint64) {
	l.current.remember(id, seq)
	l.rows.Index = append(l.rows.Index, store.Indexed{Identity: id, Seq: seq})
	l.note(undo{op: undoIdentity, identity: id})
}

// sequence returns the sequence number that the index has for an identity.
func (l *ledger) sequence(id store.Identity) (seq uint64, known bool, err error) {
	if seq, known = l.current.sequence(&id); !known {
		seq, known = l.frozen.sequence(&id)
	}
	if !known && bytes.Compare(id.Nonce[:], l.highest[:]) <= 0 && (l.filter == nil || l.filter.mayHave(&id)) {
		if seq, known, err = l.store.LookupIdentity(id); err != nil {
			return 0, false, err
		}
		if !known {
			l.filter.missed()
		}
	}
	if known && l.forgotten(seq) {
		return 0, false, nil
	}
	return seq, known, nil
}

// forgotten reports whether the entry has left the window. It depends on
// sequence numbers alone, not on when the store gets round to pruning.
func (l *ledger) forgotten(seq uint64) bool {
	return l.window > 0 && seq+l.window <= l.seq
}

// findHold returns what is left of the hold that ref names.
func (l *ledger) findHold(id store.Identity) (h hold, known bool, err error) {
	if h, known = l.current.holds[id]; known {
		return h, true, nil
	}
	if h, known = l.frozen.holds[id]; known {
		return h, true, nil
	}
	asset, remaining, known, err := l.store.LookupHold(id)
	if err != nil || !known {
		return hold{}, false, err
	}
	return hold{asset: asset, remaining: wire.LoadAmount(remaining[:])}, true, nil
}

// setHold is the one place where a hold changes.
func (l *ledger) setHold(id store.Identity, h hold) {
	before, known := l.current.holds[id]
	l.note(undo{op: undoHold, identity: id, hold: before, known: known})
	l.current.holds[id] = h
	l.rows.Holds = append(l.rows.Holds, store.HoldRow{Identity: id, Asset: h.asset, Remaining: h.remaining.Bytes()})
}

// isReversed reports whether the entry was reversed.
func (l *ledger) isReversed(seq uint64) (bool, error) {
	if _, known := l.current.reversed[seq]; known {
		return true, nil
	}
	if _, known := l.frozen.reversed[seq]; known {
		return true, nil
	}
	_, known, err := l.store.LookupReversed(seq)
	return known, err
}

// setReversed links the original to its reversal.
func (l *ledger) setReversed(original, reversal uint64) {
	l.note(undo{op: undoReversed, seq: original})
	l.current.reversed[original] = reversal
	l.rows.Reversed = append(l.rows.Reversed, store.ReversedRow{Seq: original, Reversal: reversal})
}
