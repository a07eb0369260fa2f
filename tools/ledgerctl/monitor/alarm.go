package monitor

import "github.com/rustyonions/ron-ledger/committer/merkle"

// Kinds of alarms.
const (
	Fork     = "fork"     // two histories under one key
	Rollback = "rollback" // history that was published is gone
	Unproven = "unproven" // the proof that nothing was changed is withheld
	Listing  = "listing"  // the list of roots would lead a reader astray
	Foreign  = "foreign"  // a checkpoint that this ledger did not sign
	Stale    = "stale"    // nothing new comes
)

// Kinds are all kinds of alarms.
var Kinds = []string{Fork, Rollback, Unproven, Listing, Foreign, Stale}

// Alarm is what a monitor has seen and must not be. It is an error.
type Alarm struct {
	Kind string
	Err  error
	Seen merkle.Checkpoint // what was published; zero where that was none
	Note []byte            // the same as it came: with the known one the evidence
}

func (e *Alarm) Error() string { return e.Err.Error() }
func (e *Alarm) Unwrap() error { return e.Err }
