package committer

import (
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Texts of an Epoch record that is not what it has to be.
const (
	epochNotAlone   = "an Epoch is a commit of its own, which the server alone writes"
	epochNotNext    = "its number does not follow on that of the epoch before it"
	epochOtherLog   = "it names another log than the one that it ends"
	epochOtherTree  = "it is cut at another size or root than the tree had"
	epochUsedBefore = "its log id is that of the first epoch"
)

// Epoch is the epoch in force: its number and log id.
type Epoch struct {
	Number uint64
	LogID  [16]byte
	Seq    uint64 // sequence number of its Epoch record; 0 in epoch 0, which has none
}

// Epoch returns the epoch in force. It does not change while the ledger is open.
func (c *Committer) Epoch() Epoch { return c.epoch }

// epochAt returns the epoch in force at a mark.
func epochAt(mark *store.Mark, meta store.Meta) Epoch {
	if mark.Epoch == (store.Epoch{}) {
		return Epoch{LogID: meta.LogID}
	}
	return Epoch(mark.Epoch)
}

// checkEpoch holds the epoch of a mark against its record, where the log still has it.
func (c *Committer) checkEpoch() error {
	e := c.ledger.epoch
	tail, err := c.store.Last()
	if err != nil || e.Seq == 0 || e.Seq < tail.First {
		return err
	}
	entry, err := c.find(e.Seq)
	if err != nil {
		return err
	}
	if entry.Kind() != wire.KindEpoch || entry.Nonce() != wire.Nonce(e.LogID) || entry.Amount() != wire.AmountOf(e.Number) {
		return fmt.Errorf("the record at %d does not begin the epoch %d", e.Seq, e.Number)
	}
	return nil
}

// row returns what a mark says of e.
func (e Epoch) row() store.Epoch {
	if e.Number == 0 {
		return store.Epoch{}
	}
	return store.Epoch(e)
}

// beginEpoch judges an Epoch record: it moves nothing, and has to continue the chain of epochs
// and to name the tree that it is added to.
func (l *ledger) beginEpoch(e wire.Entry) verdict {
	if !l.alone {
		return rejected(wire.ReasonUnknownKind, epochNotAlone)
	}
	said := e.Epoch()
	switch {
	case said.Number != l.epoch.Number+1:
		return rejected(wire.ReasonConflict, epochNotNext)
	case said.OldLogID != l.epoch.LogID:
		return rejected(wire.ReasonConflict, epochOtherLog)
	case said.Cut != l.seq || said.Root != l.frontier.Root():
		return rejected(wire.ReasonConflict, epochOtherTree)
	case said.LogID == l.store.Meta().LogID:
		return rejected(wire.ReasonConflict, epochUsedBefore)
	}
	l.epoch = Epoch{Number: said.Number, LogID: said.LogID, Seq: l.seq + 1}
	return accepted()
}

// NewEpoch says how an epoch begins.
type NewEpoch struct {
	Size   uint64   // at which the log ends: the first record of the epoch is Size+1
	Known  uint64   // highest sequence number known to have been acknowledged; 0 = what the head file knows
	LogID  [16]byte // new, drawn at random
	TimeMs int64    // of the act, Unix milliseconds
	Reason string   // printable ASCII, at most 256 bytes
}

// BeginEpoch ends the epoch of a ledger that nobody serves and begins the next, in which the same
// tree goes on: it replays the log, appends the Epoch record, and writes a checkpoint behind it.
// What the head file knows beyond the log is accepted as lost, and named by the record. Damage
// within the log is a *Loss and changes nothing: the log has to be cut before it first. After any
// other error the home is as it was, or has the whole epoch.
func BeginEpoch(s *store.Store, o Options, n NewEpoch) (begun wire.Epoch, err error) {
	o.NowMs, o.NowNs = func() int64 { return n.TimeMs }, func() int64 { return 0 }
	c, err := newCommitter(s, o)
	if err != nil {
		return begun, err
	}
	known := s.Head()
	c.trusting = true
	if err := c.recover(); err != nil {
		return begun, fmt.Errorf("begin an epoch: %w", err)
	}
	l := c.ledger
	switch loss := c.Loss(); {
	case loss != nil:
		return begun, fmt.Errorf("begin an epoch: %w", loss)
	case l.seq != n.Size:
		return begun, fmt.Errorf("begin an epoch: the log ends at sequence number %d, not at %d", l.seq, n.Size)
	}
	begun = wire.Epoch{
		Number: l.epoch.Number + 1, LogID: n.LogID, OldLogID: l.epoch.LogID, Cut: l.seq, Root: l.frontier.Root(),
		Known: n.Known, TimeMs: n.TimeMs, Reason: n.Reason,
	}
	if begun.Known == 0 && known.Known {
		begun.Known = max(known.Seq, l.seq)
	}
	if err := c.bookEpoch(&begun); err != nil {
		return wire.Epoch{}, fmt.Errorf("begin an epoch: %w", err)
	}
	return begun, nil
}

// bookEpoch appends the record, as a commit of its own.
func (c *Committer) bookEpoch(e *wire.Epoch) error {
	record, fault := wire.AppendEpoch(nil, e)
	if !fault.OK() {
		return fault.Err()
	}
	record = (&wire.Stamp{}).Append(record)
	c.open.reset()
	r := Request{
		Records: record, Ends: []uint32{uint32(len(record))}, Indexes: []uint32{0},
	}
	r.Leaves = append(r.Leaves, c.kind().Leaf(record))
	c.ledger.alone = true
	c.take(&r)
	c.ledger.alone = false
	if r.Err != nil {
		return r.Err
	}
	if r.Accepted != 1 {
		return errors.New(refusedAtReplay(&r, c.ledger.seq+1))
	}
	commit := &c.open.commit
	commit.Root, commit.TimeMs = c.ledger.frontier.Root(), max(c.lastMs, e.TimeMs)
	c.noteRoot(commit)
	if err := c.store.Append(commit); err != nil {
		return err
	}
	c.epoch = c.ledger.epoch
	if err := c.store.SetEpoch(c.epoch.Number, c.epoch.LogID); err != nil {
		return err
	}
	c.writeCheckpoint(c.cutCheckpoint(c.open))
	return nil
}

// settleEpoch takes the epoch in force from the log. The meta file has a copy, which a crash may
// have left behind. In safe mode the log may end before the record of the epoch that was served:
// then the copy knows better.
func (c *Committer) settleEpoch() error {
	c.epoch = c.ledger.epoch
	meta := c.store.Meta()
	number, logID := meta.InForce()
	switch {
	case number == c.epoch.Number && logID == c.epoch.LogID:
	case c.Loss() != nil:
		if number > c.epoch.Number {
			c.epoch = Epoch{Number: number, LogID: logID}
		}
	default:
		return c.store.SetEpoch(c.epoch.Number, c.epoch.LogID)
	}
	return nil
}
