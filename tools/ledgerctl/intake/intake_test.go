package intake

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rustyonions/ron-ledger/wire"
)

func linesOf(text string) Lines {
	scanner := bufio.NewScanner(strings.NewReader(text))
	return func() ([]byte, error) {
		if !scanner.Scan() {
			return nil, io.EOF
		}
		return scanner.Bytes(), nil
	}
}

func TestDecimal(t *testing.T) {
	for _, tc := range []struct {
		text  string
		scale int
		want  string // empty: refused
	}{
		{"123.45", 2, "12345"}, {"123", 2, "12300"}, {"123.4", 2, "12340"}, {"0.05", 2, "5"}, {"123.450", 2, "12345"}, {"7", 0, "7"}, {"7.0", 0, "7"},
		{"0.00000000000000000000000000000000000001", 38, "1"}, {"3.40282366920938463463374607431768211455", 38, "340282366920938463463374607431768211455"},
		{"3.40282366920938463463374607431768211456", 38, ""}, {"123.456", 2, ""}, {".5", 2, ""}, {"5.", 2, ""}, {"-5", 2, ""}, {"1,5", 2, ""}, {"1e3", 2, ""}, {"", 2, ""}, {"1.2.3", 4, ""},
	} {
		got, err := Decimal(tc.text, tc.scale)
		if (err == nil) != (tc.want != "") || err == nil && got.String() != tc.want {
			t.Errorf("%q at scale %d: %s, %v, want %q", tc.text, tc.scale, got, err, tc.want)
		}
	}
	for text, scale := range map[string]int{"0.05": 2, "123.45": 2, "-0.01": 2, "-1234.50": 2, "7": 0, "0.00": 2} {
		n, _ := new(big.Int).SetString(strings.Replace(text, ".", "", 1), 10)
		if got := Digits(n, scale); got != text {
			t.Errorf("%s at scale %d is written %s", text, scale, got)
		}
	}
}

// FuzzDecimal holds both directions against each other.
func FuzzDecimal(f *testing.F) {
	f.Add("123.45", 2)
	f.Add("0.00", 38)
	f.Fuzz(func(t *testing.T, text string, scale int) {
		if scale < 0 || scale > ScaleMax {
			return
		}
		amount, err := Decimal(text, scale)
		if err != nil {
			return
		}
		written := Digits(Big(amount), scale)
		if again, err := Decimal(written, scale); err != nil || again != amount {
			t.Errorf("%q is %s, written %q, read as %s, %v", text, amount, written, again, err)
		}
		if want, ok := new(big.Rat).SetString(text); !ok || want.Cmp(new(big.Rat).SetFrac(Big(amount), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))) != 0 {
			t.Errorf("%q at scale %d became %s", text, scale, amount)
		}
	})
}

// bankRow writes an entry of the journal as the bank's own row.
func bankRow(t *testing.T, f *wire.Fields) string {
	memo := string(f.Memo)
	kind, account, other := "VYDAJ", f.Account, f.Counterparty
	if strings.HasPrefix(f.Account, "bank/") {
		kind, account, other = "PRIJEM", f.Counterparty, f.Account
	}
	operation := map[string]string{
		"PRIJEM bank/cash": "VKLAD", "PRIJEM bank/clearing": "PREVOD Z UCTU", "PRIJEM bank/interest": "",
		"VYDAJ bank/cash": "VYBER", "VYDAJ bank/clearing": "PREVOD NA UCET", "VYDAJ bank/cards": "VYBER KARTOU",
	}[kind+" "+other]
	symbol := memo
	if memo == operation {
		symbol = ""
	}
	number := new(big.Int).SetBytes(f.Nonce[10:])
	return fmt.Sprintf("%s;%q;%q;%q;%q;%s;0.00;%q;\"\";\"\"\n", number, strings.TrimPrefix(account, "acct/"),
		time.UnixMilli(f.Timestamp).UTC().Format("060102"), kind, operation, Digits(Big(f.Amount), 2), symbol)
}

// TestBankMapping reads 35,000 rows of the bank through the mapping that ships, and wants
// the entries of the journal that was made from them by another program.
func TestBankMapping(t *testing.T) {
	text, err := os.ReadFile("../../../configs/import-bank.toml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseMapping(text)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("../../../sidecar/sidecartest/testdata/czech-bank-1993.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var want []wire.Fields
	var rows strings.Builder
	rows.WriteString("\"trans_id\";\"account_id\";\"date\";\"type\";\"operation\";\"amount\";\"balance\";\"k_symbol\";\"bank\";\"account\"\n")
	for scanner := bufio.NewScanner(unzipped); scanner.Scan(); {
		var f wire.Fields
		if err := wire.ParseJSONEntry(scanner.Bytes(), &f, wire.JSONDefaults{}); err != nil {
			t.Fatal(err)
		}
		if f.Kind == wire.KindMint {
			continue // the openings, which the bank does not list
		}
		f.Memo = append([]byte(nil), f.Memo...)
		want = append(want, f)
		rows.WriteString(bankRow(t, &f))
	}
	c := NewCSV(linesOf(rows.String()), m)
	for i := range want {
		var got wire.Fields
		if err := c.Next(&got); err != nil || !reflect.DeepEqual(got, want[i]) {
			t.Fatalf("row %d: %+v, %v, want %+v", i+1, got, err, want[i])
		}
	}
	if err := c.Next(new(wire.Fields)); !errors.Is(err, io.EOF) || len(want) != 35000 {
		t.Errorf("behind %d rows: %v", len(want), err)
	}
}

func TestMappingErrors(t *testing.T) {
	const good = "amount = '{a}'\nscale = 2\ntime = { text = '{t}', layout = 'YYYY-MM-DD' }\n[[rule]]\nkind = 'Mint'\naccount = 'x'\n"
	for _, tc := range []struct{ mapping, rows, want string }{
		{good, "a,t\n1.50,2026-01-31\n", ""},
		{good, "\ufeffa,t\r\n1.50,2026-01-31\r\n", ""},
		{good, "a\n1\n", `names the column "t", the header has a`},
		{good, "a,t,a\n", `two columns are named "a"`},
		{good, "a,t\n1,2,3\n", "3 columns, the header has 2"},
		{good, "a,t\n1.505,2026-01-31\n", "3 digits behind the point"},
		{good, "a,t\n1,31.1.2026\n", "no time of the form YYYY-MM-DD"},
		{good, "a,t\n\"1,\n2\"\n", "a record is one line"},
		{good, "a,t\n\n", "the line is empty"},
		{good + "when = { a = '2' }\n", "a,t\n1,2026-01-31\n", "no rule of the mapping is for the row"},
		{good + "nosuch = 1\n", "", "read the mapping: "},
		{strings.Replace(good, "Mint", "Print", 1), "", `"Print" is no kind`},
		{strings.Replace(good, "Mint", "Capture", 1), "", "which a row cannot"},
		{strings.Replace(good, "scale = 2", "scale = 39", 1), "", "scale 39"},
		{"", "", "are wanted"},
	} {
		m, err := ParseMapping([]byte(tc.mapping))
		if err == nil {
			err = NewCSV(linesOf(tc.rows), m).Next(new(wire.Fields))
		}
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q with %q: %v, want %q", tc.rows, tc.mapping, err, tc.want)
		}
	}
}

func TestJournal(t *testing.T) {
	const text = `; of hledger
account assets:bank
2026-01-01 opening
    assets:bank          1000.00 EUR
    equity:opening

2026/1/31 * (17) rent  ; paid
    ; by standing order
    expenses:the house    700 EUR
    assets:bank
2026-01-31 open Assets:Cash EUR
2026-02-01 * "baker" "bread"
  Assets:Cash -2.50 EUR
  Expenses:Food 2.50 EUR
2026-02-01 * "baker" "bread"
  Assets:Cash -2.50 EUR
  Expenses:Food 2.50 EUR
`
	want := []string{
		"Mint assets:bank  100000 EUR opening", "Transfer assets:bank expenses:the_house 70000 EUR rent",
		"Transfer Assets:Cash Expenses:Food 250 EUR baker | bread", "Transfer Assets:Cash Expenses:Food 250 EUR baker | bread",
	}
	nonces := map[wire.Nonce]bool{}
	for range 2 { // the second time the nonces are those of the first
		j := NewJournal(linesOf(text), 2, []string{"equity"})
		for i, want := range want {
			var f wire.Fields
			if err := j.Next(&f); err != nil {
				t.Fatalf("transaction %d: %v", i+1, err)
			}
			if got := fmt.Sprintf("%s %s %s %s %s %s", f.Kind, f.Account, f.Counterparty, f.Amount, f.Asset, f.Memo); got != want {
				t.Errorf("transaction %d: %q, want %q", i+1, got, want)
			}
			nonces[f.Nonce] = true
		}
		if err := j.Next(new(wire.Fields)); !errors.Is(err, io.EOF) {
			t.Errorf("behind the last: %v", err)
		}
	}
	if len(nonces) != len(want) {
		t.Errorf("%d nonces for %d entries", len(nonces), len(want))
	}
	for text, want := range map[string]string{
		"2026-01-01 x\n a  1 EUR\n b  1 EUR\n c  -2 EUR\n": "3 postings",
		"2026-01-01 x\n a  1 EUR\n b  -2 EUR\n":            "do not balance",
		"2026-01-01 x\n a  1 EUR\n b  -1 USD\n":            "do not balance",
		"2026-01-01 x\n a\n b\n":                           "neither posting",
		"2026-01-01 x\n a  $1\n b\n":                       `commodity "$"`,
		"2026-01-01 x\n a  1 EUR @ 2 USD\n b\n":            "no simple amount",
		"2026-01-01 x\n a  1,000.00 EUR\n b\n":             "amount",
		"2026-01-01 x\n a  1.234 EUR\n b\n":                "say --scale",
		"2026-13-01 x\n a  1 EUR\n b\n":                    "read the date",
		"~ monthly\n  a  1 EUR\n":                          "no transaction",
		"2026-01-01 x\n equity:a  1 EUR\n equity:b\n":      "outside of the ledger",
		"include other.journal\n":                          "no transaction",
		"comment\nfree words\nend comment\nfree words\n":   `"free words"`,
		"2026-01-01 x\n a  1 EUR = 5 EUR\n b\n":            "no simple amount",
		"2026-01-01 balance Assets:Cash 1 EUR\n":           "0 postings",
	} {
		err := NewJournal(linesOf(text), 2, []string{"equity"}).Next(new(wire.Fields))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestIdentity holds nonces against a model that counts every entry, however the filter does it.
func TestIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var id identity
		counts := map[string]uint64{}
		nonces := map[wire.Nonce]bool{}
		for range rapid.IntRange(1, 50).Draw(t, "entries") {
			f := wire.Fields{Kind: wire.KindMint, Account: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "account"), Amount: wire.AmountOf(uint64(rapid.IntRange(1, 3).Draw(t, "amount")))}
			var alone identity // what has seen nothing gives the nonce of a first one
			first, err := alone.nonce(&f)
			if err != nil {
				t.Fatal(err)
			}
			nonce, err := id.nonce(&f)
			if err != nil {
				t.Fatal(err)
			}
			key := f.Account + f.Amount.String()
			if (nonce == first) != (counts[key] == 0) || nonces[nonce] {
				t.Fatalf("entry %s, which came %d times before, has the nonce %v", key, counts[key], nonce)
			}
			counts[key]++
			nonces[nonce] = true
		}
	})
}

// TestIdentityIsBounded fills the filter until it takes every entry for one that came before: nonces still differ, are
// the same in another reading, and a file with too many repetitions is refused.
func TestIdentityIsBounded(t *testing.T) {
	full := func() *identity {
		id := &identity{filter: make([]uint64, filterWords), repeats: map[[16]byte]uint64{}}
		for i := range id.filter {
			id.filter[i] = ^uint64(0)
		}
		return id
	}
	one, other := full(), full()
	f := wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1)}
	seen := map[wire.Nonce]bool{}
	for range 10 {
		nonce, err := one.nonce(&f)
		again, againErr := other.nonce(&f)
		if err != nil || againErr != nil || nonce != again || seen[nonce] {
			t.Fatalf("%v and %v, %v, %v", nonce, again, err, againErr)
		}
		seen[nonce] = true
	}
	for i := uint64(0); len(one.repeats) < repeatsMax; i++ {
		one.repeats[[16]byte(binary.LittleEndian.AppendUint64(make([]byte, 8), i))] = 1
	}
	if _, err := one.before(sha256.Sum256(nil)); err == nil || !strings.Contains(err.Error(), "mapping name a nonce") {
		t.Errorf("beyond the bound: %v", err)
	}
	if _, err := one.nonce(&f); err != nil {
		t.Errorf("one that is known: %v", err)
	}
}
