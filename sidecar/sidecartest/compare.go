package sidecartest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/model"
	"github.com/rustyonions/ron-ledger/wire"
)

// compare holds the answer against what the model said.
func (f *flight) compare() error {
	if f.Reason != 0 || f.Err != nil {
		return fmt.Errorf("request of step %d came to nothing: %s: %w", f.step-1, f.Reason, errors.Join(f.Err))
	}
	results := make([]model.Result, 0, len(f.Results))
	for _, r := range f.Results {
		results = append(results, model.Result{Index: int(r.Index), Outcome: r.Outcome, Reason: r.Reason, Seq: r.Seq})
	}
	slices.SortStableFunc(results, func(a, b model.Result) int { return cmp.Compare(a.Index, b.Index) })
	if f.First != f.want.First || f.Last != f.want.Last || int(f.Accepted) != f.want.Accepted || !slices.Equal(results, f.want.Results) {
		return fmt.Errorf("request of step %d:\n%s\n  committer: %s\n  model:     %s", f.step-1, describe(f.sent),
			answer(f.First, f.Last, results), answer(f.want.First, f.want.Last, f.want.Results))
	}
	return f.compareBalances()
}

func (f *flight) compareBalances() error {
	return sameBalances(f.Found, f.balances, fmt.Sprintf("balances in the answer to step %d", f.step-1))
}

func sameBalances(got []wire.Balance, want []model.Balance, what string) error {
	same := slices.EqualFunc(got, want, func(g wire.Balance, w model.Balance) bool {
		return string(g.Account) == w.Account && g.Asset == w.Asset &&
			bigOf(g.Available).Cmp(w.Available) == 0 && bigOf(g.Held).Cmp(w.Held) == 0
	})
	if same {
		return nil
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s:", what)
	for _, b := range got {
		fmt.Fprintf(&text, "\n  committer: %s %q %s/%s", b.Account, b.Asset, b.Available, b.Held)
	}
	for _, b := range want {
		fmt.Fprintf(&text, "\n  model:     %s %q %s/%s", b.Account, b.Asset, b.Available, b.Held)
	}
	return errors.New(text.String())
}

// checkAll compares every account with the model, and the end of the log.
func (r *runner) checkAll() error {
	if err := r.ledger.Check(); err != nil {
		return err
	}
	byAccount := map[string]bool{}
	for _, b := range r.ledger.Balances() {
		if !byAccount[b.Account] {
			byAccount[b.Account] = true
			if err := r.checkAccount(b.Account); err != nil {
				return err
			}
		}
	}
	return r.checkAccount("nobody.else")
}

// checkAccount asks for an account, and for the identity of its newest entry.
func (r *runner) checkAccount(name string) error {
	got, err := r.ask(&committer.Request{Op: committer.OpAccount, Account: []byte(name)})
	if err != nil {
		return err
	}
	want := r.ledger.Account(name)
	if got.Known != (len(want) > 0) {
		return fmt.Errorf("account %s: known %t, the model has %d rows", name, got.Known, len(want))
	}
	if err := sameBalances(got.Found, want, "account "+name); err != nil {
		return err
	}
	if r.ledger.Size() == 0 {
		return nil
	}
	f := r.ledger.Entry(r.ledger.Size()/2 + 1)
	found, err := r.ask(&committer.Request{Op: committer.OpFind, Account: []byte(name), Nonce: f.Nonce})
	if err != nil {
		return err
	}
	if seq := r.ledger.Seq(name, f.Nonce); found.First != seq || found.Known != (seq != 0) {
		return fmt.Errorf("nonce %s of %s is entry %d (known %t), by the model %d", f.Nonce, name, found.First, found.Known, seq)
	}
	return nil
}

func (r *runner) ask(q *committer.Request) (*committer.Request, error) {
	done := make(chan struct{})
	q.Complete = func(*committer.Request) { close(done) }
	if reason := r.committer.Submit(q); reason != 0 {
		return nil, fmt.Errorf("ask: %s", reason)
	}
	return q, errors.Join(r.answered(done), q.Err)
}

// cover counts what the model said of each entry.
func (r *runner) cover(sent *model.Request, want *model.Answer) {
	if r.coverage == nil {
		return
	}
	results := map[int]model.Result{}
	for _, result := range want.Results {
		results[result.Index] = result
	}
	for i := range sent.Entries {
		f := &sent.Entries[i]
		result, listed := results[i]
		outcome := "booked"
		switch {
		case !listed && sent.Atomic && want.Accepted == 0:
			continue // it fell with another
		case listed && result.Outcome == wire.OutcomeDuplicate:
			outcome = "duplicate"
		case listed:
			outcome = result.Reason.String()
		}
		r.coverage[Pair{kindName(f.Kind), outcome}]++
		if original := r.ledger.Seq(f.Account, f.Ref); f.Kind == wire.KindReverse && original != 0 {
			r.coverage[Pair{"Reverse of " + r.ledger.Entry(original).Kind.String(), outcome}]++
		}
	}
}

// kindName returns the name of a kind; all that a client cannot send share one.
func kindName(k wire.Kind) string {
	if k.FromClient() {
		return k.String()
	}
	return "unknown"
}

// describe prints a request for people.
func describe(r *model.Request) string {
	var text strings.Builder
	fmt.Fprintf(&text, "  atomic %t idem_id %x", r.Atomic, r.IdemID)
	for i := range r.Entries {
		f := &r.Entries[i]
		fmt.Fprintf(&text, "\n    %d: %s %s", i, kindName(f.Kind), f.Account)
		if f.Counterparty != "" {
			fmt.Fprintf(&text, " to %s", f.Counterparty)
		}
		fmt.Fprintf(&text, " %s %q nonce %s", f.Amount, f.Asset, f.Nonce)
		if f.Ref != (wire.Nonce{}) {
			fmt.Fprintf(&text, " ref %s", f.Ref)
		}
		if len(f.Memo) > 0 {
			fmt.Fprintf(&text, " memo of %d", len(f.Memo))
		}
	}
	return text.String()
}

func answer(first, last uint64, results []model.Result) string {
	var text strings.Builder
	fmt.Fprintf(&text, "booked %d..%d", first, last)
	for _, r := range results {
		fmt.Fprintf(&text, "; %d %s", r.Index, r.Outcome)
		if r.Reason != 0 {
			fmt.Fprintf(&text, " %s", r.Reason)
		}
		if r.Seq != 0 {
			fmt.Fprintf(&text, " %d", r.Seq)
		}
	}
	return text.String()
}

// Describe prints steps for people.
func Describe(steps []Step) string {
	var text strings.Builder
	for i := range steps {
		s := &steps[i]
		switch {
		case s.Request != nil:
			fmt.Fprintf(&text, "step %d: append (balances %t)\n%s\n", i, s.Balances, describe(s.Request))
		case s.Restart:
			fmt.Fprintf(&text, "step %d: restart\n", i)
		case s.Crash:
			fmt.Fprintf(&text, "step %d: crash\n", i)
		default:
			fmt.Fprintf(&text, "step %d: read %s\n", i, s.Read)
		}
	}
	return text.String()
}

// Shrink leaves out steps as long as the run still fails, at most so many runs long,
// and returns what is left.
func Shrink(profile Profile, steps []Step, runs int) []Step {
	for size := len(steps) / 2; size > 0; size /= 2 {
		for start := 0; start < len(steps) && runs > 0; {
			end := min(start+size, len(steps))
			fewer := slices.Concat(steps[:start], steps[end:])
			runs--
			if len(fewer) > 0 && Run(profile, fewer, nil) != nil {
				steps = fewer
			} else {
				start = end
			}
		}
	}
	return steps
}
