package main

import (
	"bufio"
	"fmt"
	"strings"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// Accounts of an exported journal that are none of the ledger's: what is minted comes
// from the first, and the legs of atomic requests pass through the second, which is
// empty between requests.
const (
	journalSupply = "equity:supply"
	journalLegs   = "equity:legs"
)

// journalWriter writes entries as transactions of hledger (https://hledger.org): two
// postings that balance by themselves. It keeps what a reversal may name in memory: some
// 200 bytes for each entry.
type journalWriter struct {
	w      *bufio.Writer
	booked map[journalKey]journalMove
}

type journalKey struct {
	account string
	nonce   wire.Nonce
}

// journalMove is what an entry has moved: from one account of the journal to another.
type journalMove struct{ from, to string }

func newJournalWriter(w *bufio.Writer) *journalWriter {
	return &journalWriter{w, map[journalKey]journalMove{}}
}

// add writes an entry. A reversal is the movement that it undoes, the other way.
func (j *journalWriter) add(row *wire.EntriesRow) error {
	f := row.Record.Entry().Fields()
	move, known := journalMoveOf(&f)
	switch {
	case f.Kind == wire.KindReverse:
		undone, there := j.booked[journalKey{f.Account, f.Ref}]
		if !there {
			return fmt.Errorf("write entry %d: the entry that it reverses is not in the ledger", row.Seq)
		}
		move = journalMove{undone.to, undone.from}
	case !known:
		_, err := fmt.Fprintf(j.w, "; %d %v moves nothing\n\n", row.Seq, f.Kind)
		return err
	default:
		j.booked[journalKey{f.Account, f.Nonce}] = move
	}
	day := time.UnixMilli(row.TimeMs).UTC().Format(time.DateOnly)
	_, err := fmt.Fprintf(j.w, "%s (%d) %v%s\n    %s  %s %q\n    %s  -%s %[7]q\n\n",
		day, row.Seq, f.Kind, journalMemo(f.Memo), move.to, f.Amount, journalCommodity(f.Asset), move.from, f.Amount)
	return err
}

// journalMoveOf says from where to where an entry moves its amount, by the table of kinds in
// docs/PROTOCOL.md.
func journalMoveOf(f *wire.Fields) (journalMove, bool) {
	own, other := journalAccount(f.Account), journalAccount(f.Counterparty)
	held := own + ":held"
	switch f.Kind {
	case wire.KindCredit:
		return journalMove{journalLegs, own}, true
	case wire.KindDebit:
		return journalMove{own, journalLegs}, true
	case wire.KindTransfer:
		return journalMove{own, other}, true
	case wire.KindMint:
		return journalMove{journalSupply, own}, true
	case wire.KindBurn:
		return journalMove{own, journalSupply}, true
	case wire.KindHold:
		return journalMove{own, held}, true
	case wire.KindRelease:
		return journalMove{held, own}, true
	case wire.KindCapture:
		return journalMove{held, other}, true
	}
	return journalMove{}, false
}

// journalAccount is the account of the journal. A colon would make it a child of another
// account; a bar is in no name of the ledger.
func journalAccount(name string) string { return "ledger:" + strings.ReplaceAll(name, ":", "|") }

func journalCommodity(asset wire.Asset) string {
	if asset == (wire.Asset{}) {
		return "unnamed"
	}
	return asset.String()
}

// journalMemo is a memo behind the description. It may be any bytes: what a line of a journal
// cannot hold, or would read as a comment or tag, becomes a space.
func journalMemo(memo []byte) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == ';' || r == '|' || r == '\ufffd' || r == '\u2028' || r == '\u2029' || r == '\u0085' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(memo), " "))
	if clean = strings.Join(strings.Fields(clean), " "); clean == "" {
		return ""
	}
	return " " + clean
}
