package stream

import (
	"encoding/hex"
	"fmt"
)

// Origins says what log ids a ledger has had, as far as resuming needs it.
type Origins struct {
	Log     [16]byte // of the epoch in force
	Genesis [16]byte // of the first one
	// Before and Cut are of the epoch before this one: its log id, and its size at its end. Before is zero in the
	// first epoch, and where the record of the epoch is no longer kept.
	Before [16]byte
	Cut    uint64
	// Volatile marks a ledger that forgets itself with every start: another log id on its subject is that of
	// the process before.
	Volatile bool
}

// RootAt returns the root of the ledger at a size, or known = false where that can no longer be computed.
type RootAt func(size uint64) (root [32]byte, known bool, err error)

// resume returns the sequence number to go on from behind the last message of a subject, in a ledger of a size.
func (o *Origins) resume(p Position, size uint64, rootAt RootAt) (next uint64, err error) {
	if p.Log != o.Log {
		return o.resumeEpoch(p)
	}
	if p.Size > size {
		return 0, fmt.Errorf("the stream has %d entries of this log, and the log ends at %d: entries are lost here: run ledgerctl verify, and ledgerctl recover", p.Size, size)
	}
	root, known, err := rootAt(p.Size)
	if err != nil {
		return 0, err
	}
	if known && root != p.Root {
		return 0, fmt.Errorf("the stream has root %x at size %d, and the log %x: it is of another history: run ledgerctl verify", p.Root, p.Size, root)
	}
	return p.Next, nil
}

// resumeEpoch goes on in this epoch, behind what an earlier one has told.
func (o *Origins) resumeEpoch(p Position) (uint64, error) {
	switch {
	case o.Volatile:
		return 1, nil
	case o.Before != [16]byte{} && p.Log == o.Before:
		return min(p.Next, o.Cut+1), nil // what lies behind the cut is lost; the epoch's own record says so
	case p.Log == o.Genesis:
		return 1, nil // epochs ago: where they were cut is not known here, and all told again is nothing missing
	}
	return 0, fmt.Errorf("the subject has the commits of the log %s, which is not this ledger: a ledger needs a subject of its own (stream.nats.subject)",
		hex.EncodeToString(p.Log[:]))
}
