package committer

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/rustyonions/ron-ledger/wire"
)

// TestTranscripts replays the stories under testdata. Each begins with an empty ledger.
// Commands:
//
//	append [balances]              entries that stand alone, one a line
//	atomic [idem=NAME] [balances]  entries that stand or fall together
//	balances                       of every account that was named: available, held
//	supply                         of every asset; takes a checkpoint
//	restart                        close the ledger and open it again
//
// An entry reads `KIND ACCOUNT [-> COUNTERPARTY] AMOUNT [ASSET] [as NAME] [of NAME]
// [memo TEXT] [ts N]`. A name stands for a nonce: `as` is the entry's own, `of` the one
// that it refers to; without `as` the nonce is a fresh one. max is 2^128-1, max-N so
// much less. Every entry is answered with its number or with why it has none.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &story{bench: newBench(t, Options{CheckpointEntries: 3}), accounts: map[string]bool{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "append", "atomic":
				return s.append(t, d)
			case "balances":
				return s.balances()
			case "supply":
				return s.supply()
			case "restart":
				s.restart()
				return fmt.Sprintf("%d entries", s.Head().Size)
			}
			t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
			return ""
		})
	})
}

// story is a ledger and the names that its transcript used.
type story struct {
	*bench
	accounts map[string]bool
}

func (s *story) append(t *testing.T, d *datadriven.TestData) string {
	r := &Request{Atomic: d.Cmd == "atomic", Balances: d.HasArg("balances")}
	if d.HasArg("idem") {
		var name string
		d.ScanArgs(t, "idem", &name)
		copy(r.IdemID[:], name)
	}
	lines := strings.Split(strings.TrimSpace(d.Input), "\n")
	answers := make([]string, len(lines))
	for i, line := range lines {
		f := s.parse(t, d.Pos, line)
		admitted, fault := wire.AppendEntry(nil, &f)
		if !fault.OK() { // what the session tells
			answers[i] = fmt.Sprintf("rejected: %s (%s)", fault.Reason, fault.Detail)
			continue
		}
		addEntry(t, r, s.hash, &f)
		r.Indexes[len(r.Indexes)-1] = uint32(i)
		s.accounts[f.Account] = true
		if len(wire.Entry(admitted).Counterparty()) > 0 {
			s.accounts[f.Counterparty] = true
		}
	}
	if len(r.Ends) > 0 {
		s.do(r)
		s.answer(r, answers)
	}
	var text strings.Builder
	for i, line := range lines {
		fmt.Fprintf(&text, "%s: %s\n", strings.TrimSpace(line), answers[i])
	}
	for _, b := range r.Found {
		text.WriteString(row(b))
	}
	return text.String()
}

// answer puts what became of each entry that was admitted.
func (s *story) answer(r *Request, answers []string) {
	for _, result := range r.Results {
		switch result.Outcome {
		case wire.OutcomeDuplicate:
			answers[result.Index] = fmt.Sprintf("duplicate of %d", result.Seq)
		case wire.OutcomeRejected:
			answers[result.Index] = fmt.Sprintf("rejected: %s (%s)", result.Reason, result.Detail)
		}
	}
	next := r.First
	for _, index := range r.Indexes {
		switch {
		case answers[index] != "":
		case r.Accepted == 0:
			answers[index] = "not booked"
		default:
			answers[index] = strconv.FormatUint(next, 10)
			next++
		}
	}
}

// parse reads one entry.
func (s *story) parse(t *testing.T, pos, line string) (f wire.Fields) {
	words := strings.Fields(line)
	word := func() string {
		if len(words) == 0 {
			t.Fatalf("%s: %q ends too early", pos, line)
		}
		first := words[0]
		words = words[1:]
		return first
	}
	kind := word()
	f.Kind, _ = wire.ParseKind(strings.ToUpper(kind[:1]) + kind[1:])
	f.Account = word()
	if len(words) > 0 && words[0] == "->" {
		word()
		f.Counterparty = word()
	}
	f.Amount = parseAmount(t, word())
	f.Nonce = s.nonce()
	for len(words) > 0 {
		switch key := word(); key {
		case "as":
			f.Nonce = named(word())
		case "of":
			f.Ref = named(word())
		case "memo":
			f.Memo = []byte(word())
		case "ts":
			f.Timestamp, _ = strconv.ParseInt(word(), 10, 64)
		default:
			f.Asset, _ = wire.ParseAsset(key)
		}
	}
	return f
}

// named returns the nonce that a name stands for, which lies above every fresh one.
func named(name string) (n wire.Nonce) {
	copy(n[:], name)
	return n
}

func parseAmount(t *testing.T, text string) wire.Amount {
	most := wire.Amount{Hi: 1<<64 - 1, Lo: 1<<64 - 1}
	if rest, ok := strings.CutPrefix(text, "max"); ok {
		less := wire.Amount{}
		if rest != "" {
			less = parseAmount(t, rest[1:])
		}
		most, _ = most.Sub(less)
		return most
	}
	if text == "0" {
		return wire.Amount{}
	}
	amount, err := wire.ParseAmount(text)
	if err != nil {
		t.Fatal(err)
	}
	return amount
}

func row(b wire.Balance) string {
	return fmt.Sprintf("%s %s available %s held %s\n", b.Account, unit(b.Asset), b.Available, b.Held)
}

// unit names an asset for people.
func unit(a wire.Asset) string {
	if a == (wire.Asset{}) {
		return "(unit)"
	}
	return a.String()
}

func (s *story) balances() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.accounts)) {
		r := s.do(&Request{Op: OpAccount, Account: []byte(name)})
		for _, b := range r.Found {
			text.WriteString(row(b))
		}
		if !r.Known {
			fmt.Fprintf(&text, "%s: no such account\n", name)
		}
	}
	return text.String()
}

func (s *story) supply() string {
	s.do(&Request{Op: OpCheckpoint})
	rows, err := s.store.Supplies()
	if err != nil {
		s.t.Fatal(err)
	}
	var text strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&text, "%s %s\n", unit(r.Asset), wire.LoadAmount(r.Supply[:]))
	}
	return text.String()
}
