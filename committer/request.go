package committer

import (
	"errors"
	"slices"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Op says what a request asks of the committer.
type Op uint8

// What the committer can be asked. Reads go the same way as appends, so that
// they see everything that was sent before and nothing that is not durable.
const (
	OpAppend     Op = iota // book entries
	OpAccount              // the balances of one account
	OpFind                 // the sequence number of the entry with a given identity
	OpCheckpoint           // a checkpoint of everything before, for a listing of all balances
)

// Request is one request on its way through the committer. The session fills it,
// hands it to Submit and MUST NOT touch it again until Complete is called with
// it; then it belongs to the session again, answer included, and can be reused.
type Request struct {
	Op Op

	// Lane says who asks, for a fair share of the queue: the uid of the peer.
	Lane uint32

	// OpAppend: admitted entries of valid shape, each followed by its stamp.
	Atomic   bool
	Balances bool               // answer with the balances of the accounts named
	DryRun   bool               // judge, answer as if, and take everything back
	IdemID   [16]byte           // of an atomic request; zero = none
	Records  []byte             // back to back
	Ends     []uint32           // end of each record in Records
	Indexes  []uint32           // index of each record among the entries of the client's request
	Leaves   []merkle.Hash      // leaf hash of each record; overwritten
	Results  []wire.EntryResult // what the session refused; the committer appends to it

	// OpAccount and OpFind.
	Account []byte
	Nonce   wire.Nonce

	// Origin says which request this is, for people; the committer passes it on.
	Origin Origin

	// QueuedNs is the monotonic time in nanoseconds at which the request was
	// submitted, for the latency metric.
	QueuedNs int64

	// The answer. First and Last are the sequence numbers of the entries that
	// are new, zero when none is. Size and Root are those of the commit that
	// covers the request and all before it.
	Accepted uint32
	First    uint64
	Last     uint64
	Size     uint64
	Root     merkle.Hash
	Found    []wire.Balance // OpAccount, and OpAppend with Balances
	Known    bool           // OpAccount: the account exists; OpFind: First is the entry
	Reason   wire.Reason    // why the whole request came to nothing; 0 = it did not
	Err      error          // for the log, when Reason is internal

	// Complete is called once, from the committer's publisher, when the answer
	// may be told. It MUST NOT block.
	Complete func(*Request)
}

// Origin names a request as the log of the sidecar does: the number of its connection, and
// the id that the client chose. Times are monotonic nanoseconds, as those of CommitInfo.
type Origin struct {
	Connection, Request uint64
	UID                 uint32 // of the peer
	AdmittedNs          int64  // its turn to be checked came
	CheckedNs           int64  // its entries were checked and hashed
}

// Reset makes r ready to be filled again; buffers and Complete stay.
func (r *Request) Reset() {
	*r = Request{
		Records: r.Records[:0], Ends: r.Ends[:0], Indexes: r.Indexes[:0], Leaves: r.Leaves[:0],
		Results: r.Results[:0], Found: r.Found[:0], Account: r.Account[:0], Complete: r.Complete,
	}
}

// record returns the i-th record.
func (r *Request) record(i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = r.Ends[i-1]
	}
	return r.Records[start:r.Ends[i]:r.Ends[i]]
}

// entry returns the i-th record without its stamp.
func (r *Request) entry(i int) wire.Entry {
	record := r.record(i)
	return wire.Entry(record[: len(record)-wire.StampSize : len(record)-wire.StampSize])
}

// refuse adds the result of an entry that is not plainly new.
func (r *Request) refuse(i int, v verdict) {
	r.Results = append(r.Results, wire.EntryResult{
		Index: r.Indexes[i], Outcome: v.outcome, Reason: v.reason, Seq: v.seq, Detail: v.detail,
	})
	if v.err != nil {
		r.Err = v.err
	}
}

// take judges an append and books what is accepted into the open commit.
func (c *Committer) take(r *Request) {
	c.ledger.request++
	switch {
	case r.Atomic:
		c.takeWhole(r)
	case r.DryRun:
		before := c.begin()
		c.judgeEach(r)
		c.answerDry(r)
		c.takeBack(r, before)
	default:
		c.takeEach(r)
	}
	if r.Balances && len(r.Found) == 0 { // a dry run that books was answered before it was taken back
		c.answerTouched(r)
	}
}

// takeEach judges entries that stand alone.
func (c *Committer) takeEach(r *Request) {
	c.judgeEach(r)
	c.grow(r.Leaves[:r.Accepted])
}

// judgeEach books the records of what is accepted and moves its leaves to the
// front.
func (c *Committer) judgeEach(r *Request) {
	l, p := c.ledger, c.open
	l.atomic = false
	for i := range r.Ends {
		l.at = i
		v := l.judge(r.entry(i))
		if v.outcome != booked {
			r.refuse(i, v)
			continue
		}
		p.add(r.record(i), v.seq)
		r.Leaves[r.Accepted] = r.Leaves[i]
		r.accept(v.seq)
	}
}

// grow adds the leaves of accepted entries to the tree.
func (c *Committer) grow(leaves []merkle.Hash) {
	c.blocks = c.ledger.frontier.AppendBlocks(c.blocks[:0], leaves)
	c.tiles.AddAll(c.blocks)
}

func (r *Request) accept(seq uint64) {
	r.Accepted++
	r.Last = seq
	if r.First == 0 {
		r.First = seq
	}
}

// takeWhole judges an atomic request: all of it is booked, next to each other, or
// nothing. A request that was booked before is answered with its first sequence
// numbers; one that mixes entries known and new is no repetition of anything, and
// is refused as a conflict.
func (c *Committer) takeWhole(r *Request) {
	l := c.ledger
	if r.IdemID != ([16]byte{}) {
		if done := c.takeRepeated(r); done {
			return
		}
	}
	before := c.begin()
	l.atomic = true
	refused := len(r.Results)
	failed := c.judgeWhole(r)
	unbalanced := l.settleLegs()
	switch duplicates := len(r.Results) - refused; {
	case failed:
	case unbalanced != nil:
		r.Results = r.Results[:refused]
		r.refuse(unbalanced.firstLeg, rejected(wire.ReasonUnbalanced,
			"the credits of the request differ from its debits in "+assetWords(unbalanced.asset)))
		failed = true
	case duplicates > 0 && r.Accepted > 0:
		first := r.Results[refused]
		r.Results = append(r.Results[:refused], wire.EntryResult{Index: first.Index, Outcome: wire.OutcomeRejected,
			Reason: wire.ReasonConflict, Detail: "an atomic request repeats an entry booked before beside new ones"})
		failed = true
	}
	if failed {
		r.Accepted = 0
	}
	if failed {
		c.takeBack(r, before)
		return
	}
	if r.DryRun {
		c.answerDry(r)
		c.takeBack(r, before)
		return
	}
	l.keep()
	if r.Accepted > 0 {
		c.grow(r.Leaves)
		c.group(r)
	}
}

// before is what a request that is taken back leaves behind.
type before struct {
	seq     uint64
	records int
	rows    rowCounts
}

// begin begins to note what a request changes.
func (c *Committer) begin() before {
	c.ledger.noting = true
	return before{seq: c.ledger.seq, records: c.open.mark(), rows: c.ledger.countRows()}
}

// answerDry adds the balances that a dry run would leave.
func (c *Committer) answerDry(r *Request) {
	if r.Balances {
		c.answerTouched(r)
	}
}

// takeBack takes a request back. Its results stay.
func (c *Committer) takeBack(r *Request, b before) {
	c.ledger.rollBack(b.rows)
	c.ledger.seq = b.seq
	c.open.cut(b.records)
	r.First, r.Last = 0, 0
}

// judgeWhole judges entry after entry until one is rejected, which it reports.
func (c *Committer) judgeWhole(r *Request) (failed bool) {
	refused := len(r.Results)
	for i := range r.Ends {
		c.ledger.at = i
		v := c.ledger.judge(r.entry(i))
		switch v.outcome {
		case booked:
			c.open.add(r.record(i), v.seq)
			r.accept(v.seq)
		case wire.OutcomeDuplicate:
			r.refuse(i, v)
		default:
			r.Results = r.Results[:refused]
			r.refuse(i, v)
			return true
		}
	}
	return false
}

// group notes the atomic request beside its records: recovery judges it as one
// again, and a repeated idem_id finds it.
func (c *Committer) group(r *Request) {
	l := c.ledger
	c.open.commit.Groups = append(c.open.commit.Groups, store.Group{First: r.First, Count: r.Accepted, IdemID: r.IdemID})
	if r.IdemID == ([16]byte{}) {
		return
	}
	row := store.RequestRow{IdemID: r.IdemID, First: r.First, Count: r.Accepted}
	l.current.requests[r.IdemID] = row
	l.rows.Requests = append(l.rows.Requests, row)
}

// takeRepeated answers a request whose idem_id is known: with the first sequence
// numbers when the entries are the same, as a conflict otherwise.
func (c *Committer) takeRepeated(r *Request) (done bool) {
	l := c.ledger
	first, known, err := l.requestRow(r.IdemID)
	switch {
	case err != nil:
		r.refuse(0, undecided(err))
		return true
	case !known:
		return false
	case int(first.Count) != len(r.Ends):
		r.refuse(0, rejected(wire.ReasonConflict, "idem_id was used before with another number of entries"))
		return true
	}
	refused := len(r.Results)
	for i := range r.Ends {
		seq := first.First + uint64(i)
		same, err := l.same(seq, r.entry(i))
		if err != nil {
			r.Results = r.Results[:refused]
			r.refuse(i, undecided(err))
			return true
		}
		if !same {
			r.Results = r.Results[:refused]
			r.refuse(i, rejected(wire.ReasonConflict, "idem_id was used before with other entries"))
			return true
		}
		r.refuse(i, verdict{outcome: wire.OutcomeDuplicate, seq: seq})
	}
	return true
}

// requestRow returns the atomic request with that idem_id.
func (l *ledger) requestRow(id [16]byte) (row store.RequestRow, known bool, err error) {
	row, known = l.current.requests[id]
	if !known {
		row, known = l.frozen.requests[id]
	}
	if !known {
		row.IdemID = id
		if row.First, row.Count, known, err = l.store.LookupRequest(id); err != nil {
			return row, false, err
		}
	}
	return row, known && !l.forgotten(row.First), nil
}

// answerTouched adds the balances of the accounts that the request names, as they
// are after it; a Reverse names those of its original.
func (c *Committer) answerTouched(r *Request) {
	l := c.ledger
	for i := range r.Ends {
		e := r.entry(i)
		a := c.answerBalance(r, e.Account(), e.Asset())
		other := e.Counterparty()
		if a != nil && e.Kind() == wire.KindReverse {
			original, _, err := l.lookUp(a, e.Ref())
			if err != nil && !errors.Is(err, errPruned) {
				r.Err = err
			}
			if original != nil {
				other = original.Counterparty()
			}
		}
		if len(other) > 0 {
			c.answerBalance(r, other, e.Asset())
		}
	}
}

// answerBalance adds what the account of that name has of the asset, once in a
// request, and returns the account; nil where it does not exist.
func (c *Committer) answerBalance(r *Request, name []byte, asset wire.Asset) *account {
	l := c.ledger
	a, err := l.account(name)
	if err != nil {
		r.Err = err
		return nil
	}
	b, err := l.balanceOf(a, asset)
	if err != nil {
		r.Err = err
	}
	if b != nil && b.request != l.request {
		b.request = l.request
		r.Found = append(r.Found, b.answer(a))
	}
	return a
}

func (b *balance) answer(a *account) wire.Balance {
	return wire.Balance{Account: a.name, Asset: b.asset, Available: b.available, Held: b.held}
}

// answerAccount lists what the account has of each asset, sorted by asset.
func (c *Committer) answerAccount(r *Request) {
	l := c.ledger
	a, err := l.account(r.Account)
	if err == nil && a != nil && !a.complete {
		err = l.complete(a)
	}
	if err != nil {
		r.Reason, r.Err = wire.ReasonInternal, err
		return
	}
	if a == nil {
		return
	}
	r.Known = true
	if a.count > 0 {
		r.Found = append(r.Found, a.first.answer(a))
	}
	for _, b := range a.more {
		r.Found = append(r.Found, b.answer(a))
	}
	slices.SortFunc(r.Found, func(x, y wire.Balance) int { return slices.Compare(x.Asset[:], y.Asset[:]) })
}

// answerFind looks up the entry of the identity in question.
func (c *Committer) answerFind(r *Request) {
	l := c.ledger
	a, err := l.account(r.Account)
	if err == nil && a != nil {
		var found wire.Entry
		found, r.First, err = l.lookUp(a, r.Nonce)
		r.Known = found != nil
		if errors.Is(err, errPruned) { // known it is, and where
			r.Known, err = true, nil
		}
	}
	if err != nil {
		r.Reason, r.Err = wire.ReasonInternal, err
	}
}
