package sidecartest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// profiles are the ledgers that the comparison goes through in turn.
var profiles = []Profile{
	{Name: "few accounts", Hash: merkle.Blake3, Accounts: 4, Assets: 3, CheckpointEntries: 1000, BatchMaxEntries: 1024, Pipeline: 4},
	{Name: "checkpoint every entry", Hash: merkle.SHA256, Accounts: 5, Assets: 2, CheckpointEntries: 1, BatchMaxEntries: 1, Pipeline: 1},
	{Name: "checkpoint every 7", Hash: merkle.Blake3, Accounts: 6, Assets: 5, CheckpointEntries: 7, BatchMaxEntries: 5, Pipeline: 3, RandomNonces: true},
	{Name: "many accounts, small cache", Hash: merkle.Blake3, Accounts: 300, Assets: 5, CheckpointEntries: 50, BatchMaxEntries: 16, CacheAccounts: 1, Pipeline: 8},
	{Name: "one checkpoint at the end", Hash: merkle.SHA256, Accounts: 8, Assets: 4, CheckpointEntries: 100_000, BatchMaxEntries: 64, Pipeline: 16, RandomNonces: true},
}

// setting returns a number from the environment.
func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return n
}

// TestModelAndCommitterAgree runs MODEL_ENTRIES entries, 150,000 unless told, from
// MODEL_SEED, else from the clock, in ledgers of a few thousand each.
func TestModelAndCommitterAgree(t *testing.T) {
	const each = 2500
	entries := setting(t, "MODEL_ENTRIES", 150_000)
	seed := setting(t, "MODEL_SEED", uint64(time.Now().UnixNano())%1_000_000)
	fmt.Printf("MODEL_SEED=%d MODEL_ENTRIES=%d\n", seed, entries) // a panic would keep t.Log to itself
	coverage := Coverage{}
	for i := range (entries + each - 1) / each {
		profile := profiles[i%uint64(len(profiles))]
		steps := Generate(profile, seed+i, each)
		if err := Run(profile, steps, coverage); err != nil {
			fewer := Shrink(profile, steps, 150)
			t.Fatalf("MODEL_SEED=%d, ledger %d (%s):\n%v\n\nthe same fault, or another, in %d steps:\n%s%v", seed, i, profile.Name, err,
				len(fewer), Describe(fewer), Run(profile, fewer, nil))
		}
	}
	t.Log("\n" + table(coverage))
	checkPossible(t, coverage)
	if entries >= coveredBy {
		checkReached(t, coverage)
	}
}

// coveredBy is how many entries it takes until each reachable pair is sure to be reached: the
// rarest come up once in some 10,000, so that a run of this size misses one once in a million
// times. A smaller run compares as strictly, but what it happens not to reach says nothing.
const coveredBy = 150_000

// everyKind are the outcomes that an entry of any kind can have.
var everyKind = []string{"booked", "duplicate", "conflict", "malformed"}

// reachable are the other outcomes of each kind, and of reversals by their original.
// The rest cannot be:
//   - insufficient_funds for Credit and Mint, and for the Reverse of a Burn or Debit: they take from nowhere;
//   - overflow for Burn and for the Reverse of a Mint: they put nowhere;
//   - unbalanced for whatever is no leg, since it is told at the index of a leg;
//   - unknown_ref and already_reversed for kinds without a ref, and already_reversed
//     for Release and Capture, which use up a hold instead;
//   - too_large: an entry as long as that ends the whole request, in the session;
//   - policy_denied, and all other reasons: the session tells them, not the committer.
//
// A Reverse of a Reverse is unknown_ref and nothing else.
var reachable = map[string][]string{
	"Credit":              {"unbalanced", "overflow"},
	"Debit":               {"unbalanced", "insufficient_funds", "overflow"},
	"Transfer":            {"insufficient_funds", "overflow"},
	"Mint":                {"overflow"},
	"Burn":                {"insufficient_funds"},
	"Hold":                {"insufficient_funds", "overflow"},
	"Reverse":             {"unknown_ref", "already_reversed", "unbalanced", "insufficient_funds", "overflow"},
	"Release":             {"unknown_ref", "insufficient_funds", "overflow"},
	"Capture":             {"unknown_ref", "insufficient_funds", "overflow"},
	"unknown":             {"unknown_kind"},
	"Reverse of Credit":   {"booked", "already_reversed", "unbalanced", "insufficient_funds", "overflow"},
	"Reverse of Debit":    {"booked", "already_reversed", "unbalanced", "overflow"},
	"Reverse of Transfer": {"booked", "already_reversed", "insufficient_funds", "overflow"},
	"Reverse of Mint":     {"booked", "already_reversed", "insufficient_funds"},
	"Reverse of Burn":     {"booked", "already_reversed", "overflow"},
	"Reverse of Hold":     {"booked", "already_reversed", "insufficient_funds", "overflow"},
	"Reverse of Release":  {"booked", "already_reversed", "insufficient_funds", "overflow"},
	"Reverse of Capture":  {"booked", "already_reversed", "insufficient_funds", "overflow"},
	"Reverse of Reverse":  {"unknown_ref"},
}

// wanted are all pairs that can be reached.
func wanted() map[Pair]bool {
	want := map[Pair]bool{}
	for kind, outcomes := range reachable {
		for _, outcome := range outcomes {
			want[Pair{kind, outcome}] = true
		}
		if kind != "unknown" && !strings.HasPrefix(kind, "Reverse of ") {
			for _, outcome := range everyKind {
				want[Pair{kind, outcome}] = true
			}
		}
	}
	return want
}

// checkReached asserts that every reachable pair was reached.
func checkReached(t *testing.T, coverage Coverage) {
	t.Helper()
	for pair := range wanted() {
		if coverage[pair] == 0 {
			t.Errorf("never reached: %s %s", pair.Kind, pair.Outcome)
		}
	}
}

// checkPossible asserts that no other pair was reached.
func checkPossible(t *testing.T, coverage Coverage) {
	t.Helper()
	want := wanted()
	for pair, n := range coverage {
		detail := strings.HasPrefix(pair.Kind, "Reverse of ") && slices.Contains([]string{"duplicate", "conflict", "malformed", "unknown_ref"}, pair.Outcome)
		if !want[pair] && !detail {
			t.Errorf("reached %d times, which is said to be impossible: %s %s", n, pair.Kind, pair.Outcome)
		}
	}
}

// table prints how often each pair was reached.
func table(coverage Coverage) string {
	var kinds, outcomes []string
	for pair := range maps.Keys(coverage) {
		kinds, outcomes = append(kinds, pair.Kind), append(outcomes, pair.Outcome)
	}
	slices.Sort(kinds)
	slices.Sort(outcomes)
	kinds, outcomes = slices.Compact(kinds), slices.Compact(outcomes)
	var text strings.Builder
	fmt.Fprintf(&text, "%-20s", "")
	for _, outcome := range outcomes {
		fmt.Fprintf(&text, " %18s", outcome)
	}
	for _, kind := range kinds {
		fmt.Fprintf(&text, "\n%-20s", kind)
		for _, outcome := range outcomes {
			fmt.Fprintf(&text, " %18d", coverage[Pair{kind, outcome}])
		}
	}
	return text.String()
}
