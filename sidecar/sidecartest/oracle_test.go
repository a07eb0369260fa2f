//go:build oracle

package sidecartest

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// Accounts of the journal that are none of the ledger's: what is minted comes from
// the first, and the legs of atomic requests pass through the second, which is empty
// between requests.
const (
	supplyAccount = "equity:supply"
	legsAccount   = "equity:legs"
)

// journal writes records as transactions of hledger. Each balances by itself, or
// hledger refuses the file.
type journal struct {
	w      *bufio.Writer
	booked map[string]wire.Fields // by account and nonce, for their reversals
}

// journalName is the account of the journal. A colon would make it a child of
// another; a bar is in no name of the ledger.
func journalName(account string) string {
	return "ledger:" + strings.ReplaceAll(account, ":", "|")
}

func commodity(asset wire.Asset) string {
	if asset == (wire.Asset{}) {
		return "unnamed"
	}
	return asset.String()
}

func (j *journal) identity(account string, nonce wire.Nonce) string {
	return account + " " + nonce.String()
}

// add writes one record.
func (j *journal) add(seq uint64, f wire.Fields) error {
	from, to := accountsOf(&f)
	moved := f
	if f.Kind == wire.KindReverse {
		original, known := j.booked[j.identity(f.Account, f.Ref)]
		if !known {
			return fmt.Errorf("entry %d reverses an entry that is not in the log", seq)
		}
		to, from = accountsOf(&original)
		moved = original
	}
	if from == "" || to == "" {
		return fmt.Errorf("entry %d: no accounts for %s", seq, f.Kind)
	}
	j.booked[j.identity(f.Account, f.Nonce)] = f
	_, err := fmt.Fprintf(j.w, "2000-01-01 (%d) %s\n  %s  %s %q\n  %s  -%s %[5]q\n\n",
		seq, f.Kind, to, moved.Amount, commodity(moved.Asset), from, moved.Amount)
	return err
}

// accountsOf says from where to where an entry moves its amount: FORMATS §2 in the
// accounts of the journal.
func accountsOf(f *wire.Fields) (from, to string) {
	own, other := journalName(f.Account), journalName(f.Counterparty)
	held := own + ":held"
	switch f.Kind {
	case wire.KindCredit:
		return legsAccount, own
	case wire.KindDebit:
		return own, legsAccount
	case wire.KindTransfer:
		return own, other
	case wire.KindMint:
		return supplyAccount, own
	case wire.KindBurn:
		return own, supplyAccount
	case wire.KindHold:
		return own, held
	case wire.KindRelease:
		return held, own
	case wire.KindCapture:
		return held, other
	}
	return "", ""
}

// export writes all that the ledger has accepted, and counts it by kind.
func export(t *testing.T, c *client.Client, w io.Writer) map[wire.Kind]int {
	t.Helper()
	j := journal{bufio.NewWriter(w), map[string]wire.Fields{}}
	kinds := map[wire.Kind]int{}
	for row, err := range c.Entries(t.Context(), 1, client.ToHead) {
		if err == nil {
			err = j.add(row.Seq, row.Record.Entry().Fields())
			kinds[row.Record.Entry().Kind()]++
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := j.w.Flush(); err != nil {
		t.Fatal(err)
	}
	return kinds
}

// hledger returns the balances that are not zero, by account and commodity.
func hledger(t *testing.T, journal []byte) map[string]string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "hledger", "-f", "-", "balance", "--flat", "--no-total", "--layout=bare", "-O", "csv")
	var errs strings.Builder
	command.Stdin, command.Stderr = bytes.NewReader(journal), &errs
	output, err := command.Output()
	if err != nil {
		t.Fatalf("run hledger: %v: is it installed? just oracle installs it\n%s", err, errs.String())
	}
	rows, err := csv.NewReader(bytes.NewReader(output)).ReadAll()
	if err != nil {
		t.Fatalf("read what hledger printed: %v", err)
	}
	balances := map[string]string{}
	for _, row := range rows[1:] { // the first names the columns
		if row[2] != "0" {
			balances[row[0]+" "+row[1]] = row[2]
		}
	}
	return balances
}

// ledgerBalances returns what the ledger says, in the form of hledger. The supply is
// that of conservation: all there is.
func ledgerBalances(t *testing.T, c *client.Client) map[string]string {
	t.Helper()
	balances := map[string]string{}
	supply := map[string]*big.Int{}
	add := func(account, commodity string, amount wire.Amount) {
		if amount.IsZero() {
			return
		}
		balances[account+" "+commodity] = amount.String()
		if supply[commodity] == nil {
			supply[commodity] = new(big.Int)
		}
		supply[commodity].Sub(supply[commodity], bigOf(amount))
	}
	for b, err := range c.Accounts(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		add(journalName(b.Account), commodity(b.Asset), b.Available)
		add(journalName(b.Account)+":held", commodity(b.Asset), b.Held)
	}
	for commodity, sum := range supply {
		balances[supplyAccount+" "+commodity] = sum.String()
	}
	return balances
}

// checkOracle has hledger add up the log of a ledger, and compares. It does so twice: with the
// journal that is written here, and with that of ledgerctl export.
func checkOracle(t *testing.T, p *Process, token string, c *client.Client) map[wire.Kind]int {
	t.Helper()
	var journal bytes.Buffer
	kinds := export(t, c, &journal)
	want, got := hledger(t, journal.Bytes()), ledgerBalances(t, c)
	exported, exit := p.CLI("export", "--format", "hledger", "--token-file", token)
	if exit != 0 {
		t.Fatalf("export: exit %d", exit)
	}
	if again := hledger(t, []byte(exported)); !maps.Equal(again, want) {
		t.Errorf("of the exported journal hledger makes other balances: %v, and %v", again, want)
	}
	t.Logf("%v, %d balances", kinds, len(want))
	if len(want) == 0 {
		t.Fatal("hledger found no balances")
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%s: the ledger has %q, hledger %q", key, got[key], want[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if want[key] == "" {
			t.Errorf("%s: the ledger has %q, hledger nothing", key, got[key])
		}
	}
	return kinds
}

// TestOracleHledger compares the balances of the ledger with those that hledger
// computes from the entries that were accepted.
func TestOracleHledger(t *testing.T) {
	f := readFixture(t)
	t.Run("bank", func(t *testing.T) {
		p := f.start(t)
		if summary, exit := p.Append("--token-file", f.Token, BankJournal(t)); exit != 3 || summary.Accepted != BankAccepted {
			t.Fatalf("append: exit %d, %+v", exit, summary)
		}
		checkOracle(t, p, f.Token, f.dial(t, p))
	})
	seed := setting(t, "ORACLE_SEED", uint64(time.Now().UnixNano())%1_000_000)
	for i, profile := range []Profile{
		{Name: "few accounts", Accounts: 5, Assets: 5, RandomNonces: true},
		{Name: "many accounts", Accounts: 200, Assets: 5},
	} {
		t.Run(profile.Name, func(t *testing.T) {
			fmt.Printf("ORACLE_SEED=%d, with %d added\n", seed, i)
			p := f.start(t, map[string]string{"accumulator.hash": merkle.SHA256.String()})
			c := f.dial(t, p)
			send(t, c, Generate(profile, seed+uint64(i), int(setting(t, "ORACLE_ENTRIES", 20_000))))
			kinds := checkOracle(t, p, f.Token, c)
			for _, kind := range wire.Kinds() {
				if kinds[kind] == 0 {
					t.Errorf("no %s was accepted", kind)
				}
			}
		})
	}
}

// send sends the requests of a run, as far as a client can encode them.
func send(t *testing.T, c *client.Client, steps []Step) {
	t.Helper()
	var pending []*client.Pending
	for i := range steps {
		request := steps[i].Request
		if request == nil {
			continue
		}
		b := &client.Batch{Atomic: request.Atomic, IdemID: request.IdemID}
		for k := range request.Entries {
			if err := b.Add(&request.Entries[k]); err != nil {
				continue // of bad shape: it does not get so far
			}
		}
		if b.Len() > 0 {
			pending = append(pending, c.Submit(t.Context(), b))
		}
	}
	booked := 0
	for i, p := range pending {
		result, err := p.Wait(t.Context())
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		booked += result.Accepted
	}
	t.Logf("%d requests, %d entries accepted", len(pending), booked)
}
