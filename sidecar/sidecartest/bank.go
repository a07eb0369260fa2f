package sidecartest

import (
	_ "embed"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The bank data: 35,000 real transactions with known balances and known
// rejections (testdata/README.md).
var (
	//go:embed testdata/czech-bank-1993.jsonl.gz
	bankJournal []byte
	//go:embed testdata/czech-bank-1993.balances.tsv
	bankBalances string
	//go:embed testdata/czech-bank-1993.rejected-lines.txt
	bankRejectedLines string
)

// What appending the whole journal to an empty ledger gives.
const (
	BankAccepted = 34_974
	BankRejected = 30
)

// BankJournal writes the journal to a file, gzipped as it is, and returns its path.
func BankJournal(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "czech-bank-1993.jsonl.gz")
	if err := os.WriteFile(path, bankJournal, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// BankBalances returns "account TAB balance" for every account, sorted.
func BankBalances() []string { return strings.Split(strings.TrimSpace(bankBalances), "\n") }

// BankRejectedLines returns the numbers of the lines that are rejected, counted
// from 1, in order.
func BankRejectedLines(t testing.TB) (lines []int) {
	t.Helper()
	for text := range strings.FieldsSeq(bankRejectedLines) {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, n)
	}
	return lines
}

// CheckBankBalances holds the output of `ledgerctl balances` against the known
// balances: TSV of account, available, held, asset.
func CheckBankBalances(t testing.TB, listing string) {
	t.Helper()
	var got []string
	for line := range strings.Lines(listing) {
		columns := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(columns) != 4 || columns[2] != "0" || columns[3] != "" {
			t.Fatalf("balances printed %q, want account, available, 0 and no asset", line)
		}
		got = append(got, columns[0]+"\t"+columns[1])
	}
	want := BankBalances()
	if !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("balance %d is %q, want %q", i+1, got[i], want[i])
			}
		}
		t.Fatalf("%d balances, want %d", len(got), len(want))
	}
}
