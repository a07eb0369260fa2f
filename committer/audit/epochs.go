package audit

import (
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// epoch checks an Epoch record that is about to be booked: that it stands alone, continues the
// chain of log ids, and names the tree before it.
func (a *audit) epoch(c *commit, e wire.Entry) error {
	said := e.Epoch()
	before := a.inForce.LogID
	if a.inForce.Number == 0 {
		before = a.store.Meta().LogID
	}
	switch {
	case len(c.Ends) != 1 || len(c.Groups) != 0:
		return errors.New("an Epoch stands among other entries")
	case said.Number != a.inForce.Number+1:
		return fmt.Errorf("it begins epoch %d behind epoch %d", said.Number, a.inForce.Number)
	case said.OldLogID != before:
		return fmt.Errorf("it ends the log %x, the log before it is %x", said.OldLogID, before)
	case said.LogID == a.store.Meta().LogID:
		return errors.New("its log id is that of the first epoch")
	case said.Cut != a.frontier.Size() || said.Root != a.frontier.Root():
		return fmt.Errorf("it is cut at size %d with root %x, the tree before it has size %d and root %v",
			said.Cut, said.Root, a.frontier.Size(), a.frontier.Root())
	}
	a.inForce = store.Epoch{Number: said.Number, LogID: said.LogID, Seq: c.First}
	return nil
}

// checkEpoch holds the epoch of the mark against the log's.
func (a *audit) checkEpoch() error {
	if a.mark.Epoch != a.inForce {
		return fmt.Errorf("the mark says epoch %d (%x, at %d), the log gives %d (%x, at %d)", a.mark.Epoch.Number, a.mark.Epoch.LogID,
			a.mark.Epoch.Seq, a.inForce.Number, a.inForce.LogID, a.inForce.Seq)
	}
	return nil
}
