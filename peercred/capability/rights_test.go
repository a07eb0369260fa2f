package capability

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func asset(name string) (a [8]byte) { copy(a[:], name); return a }

func TestSession(t *testing.T) {
	const now = 1_900_000_000
	cases := []struct {
		words    string // separated by ;
		uid, gid uint32
		groups   []uint32
		log      [16]byte
		now      int64
		want     Denial
	}{
		{"", 1000, 100, nil, testLog, now, Granted},
		{"", 65534, 100, nil, testLog, now, DeniedUID},
		{"uid = 65534", 65534, 100, nil, testLog, now, DeniedUID},
		{"", 1000, 100, nil, [16]byte{}, now, DeniedLog},
		{"log = 00000000000000000000000000000000", 1000, 100, nil, testLog, now, DeniedLog},
		{"log = a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", 1000, 100, nil, testLog, now, Granted},
		{"uid = 1000", 1000, 100, nil, testLog, now, Granted},
		{"uid = 999,1001", 1000, 100, nil, testLog, now, DeniedUID},
		{"uid = 1000,1001;uid = 1001", 1000, 100, nil, testLog, now, DeniedUID},
		{"uid = 1000,1001;uid = 1001,1002", 1001, 100, nil, testLog, now, Granted},
		{"gid = 100", 1000, 100, nil, testLog, now, Granted},
		{"gid = 7", 1000, 100, []uint32{5, 7}, testLog, now, Granted},
		{"gid = 7;gid = 100", 1000, 100, []uint32{5, 7}, testLog, now, Granted},
		{"gid = 7;gid = 8", 1000, 100, []uint32{5, 7}, testLog, now, DeniedGID},
		{"gid = 65534", 1000, 65534, []uint32{65534}, testLog, now, DeniedGID},
		{"expires = 2030-03-17T17:46:40Z", 1000, 100, nil, testLog, now - 1, Granted},
		{"expires = 2030-03-17T17:46:40Z", 1000, 100, nil, testLog, now, DeniedExpires},
		{"expires = 2031-03-17T17:46:40Z;expires = 2030-03-17T17:46:40Z", 1000, 100, nil, testLog, now, DeniedExpires},
		{"not-before = 2030-03-17T17:46:40Z", 1000, 100, nil, testLog, now - 1, DeniedNotBefore},
		{"not-before = 2030-03-17T17:46:40Z", 1000, 100, nil, testLog, now, Granted},
		{"uid = 1;gid = 1;expires = 1970-01-01T00:00:00Z", 2, 2, nil, [16]byte{}, now, DeniedLog},
		{"gid = 1;expires = 1970-01-01T00:00:00Z;not-before = 2999-01-01T00:00:00Z", 2, 2, nil, testLog, now, DeniedGID},
		{"expires = 1970-01-01T00:00:00Z;not-before = 2999-01-01T00:00:00Z", 2, 2, nil, testLog, now, DeniedNotBefore},
	}
	for _, c := range cases {
		got := verified(t, mintWords(t, splitWords(c.words)...)).Session(c.uid, c.gid, c.groups, c.log, c.now)
		if got != c.want {
			t.Errorf("%q, uid %d, gid %d, groups %v, at %d: %v, want %v", c.words, c.uid, c.gid, c.groups, c.now, got, c.want)
		}
	}
}

// TestNoLogIsNoSession: Mint makes no such token, but another program with the key may.
func TestNoLogIsNoSession(t *testing.T) {
	rights, err := verifyBytes(rawToken(t, ident{kid: testKey.KID}.encode(), ""), testRing(t, testKey), nil)
	must(t, err)
	if got := rights.Session(1000, 100, nil, testLog, 0); got != DeniedLog {
		t.Errorf("a token without a log caveat: %v, want %v", got, DeniedLog)
	}
}

func splitWords(words string) []string {
	if words == "" {
		return nil
	}
	return strings.Split(words, ";")
}

func TestMay(t *testing.T) {
	cases := []struct {
		minted, narrowed string
		want             Op
	}{
		{"", "", OpAppend | OpRead},
		{"op = read", "", OpRead},
		{"op = admin", "", OpAdmin},
		{"op = append,read,admin", "", OpAppend | OpRead | OpAdmin},
		{"op = append,read,admin", "op = admin,read", OpRead | OpAdmin},
		{"", "op = append,read,admin", OpAppend | OpRead},
		{"", "op = admin", 0},
		{"op = read;op = admin", "", 0},
	}
	for _, c := range cases {
		token, err := mintWords(t, splitWords(c.minted)...).Narrow(caveatsOf(t, splitWords(c.narrowed)...)...)
		must(t, err)
		rights := verified(t, token)
		for op := range opsKnown + 1 {
			if got, want := rights.May(op), op != 0 && op&^c.want == 0; got != want {
				t.Errorf("minted %q, narrowed %q: May(%v) = %v", c.minted, c.narrowed, op, got)
			}
		}
	}
}

func TestEntry(t *testing.T) {
	const credit, transfer, mint, burn, hold, reverse = 1, 3, 4, 5, 6, 7
	cases := []struct {
		words                 string
		kind                  uint8
		account, counterparty string
		asset                 string
		hi, lo                uint64
		want                  Denial
	}{
		{"", transfer, "a", "b", "", 1 << 63, 0, Granted},
		{"", hold, "a", "", "EUR", 0, 1, Granted},
		{"", mint, "a", "", "", 0, 1, DeniedKind},
		{"", burn, "a", "", "", 0, 1, DeniedKind},
		{"", reverse, "a", "", "", 0, 1, DeniedKind},
		{"", 0, "a", "", "", 0, 1, DeniedKind},
		{"", 10, "a", "", "", 0, 1, DeniedKind},
		{"", 240, "a", "", "", 0, 1, DeniedKind},
		{"kind = Mint,Transfer", mint, "a", "", "", 0, 1, Granted},
		{"kind = Mint,Transfer", transfer, "a", "b", "", 0, 1, Granted},
		{"kind = Mint,Transfer", burn, "a", "", "", 0, 1, DeniedKind},
		{"kind = Mint,Transfer", credit, "a", "", "", 0, 1, DeniedKind},
		{"kind = Mint,Transfer;kind = Mint", transfer, "a", "b", "", 0, 1, DeniedKind},
		{"governance = reverse", reverse, "a", "", "", 0, 1, DeniedKind},
		{"kind = Reverse", reverse, "a", "", "", 0, 1, DeniedGovernance},
		{"kind = Reverse;governance = reverse", reverse, "a", "", "", 0, 1, Granted},
		{"kind = Reverse;governance = reverse;account = a*", reverse, "a", "", "", 0, 1, DeniedAccount},
		{"kind = Reverse;governance = reverse;account = *", reverse, "a", "", "", 0, 1, Granted},
		{"account = acct_a", transfer, "acct_a", "acct_a", "", 0, 1, Granted},
		{"account = acct_a", transfer, "acct_a", "acct_b", "", 0, 1, DeniedAccount},
		{"account = acct_a", transfer, "acct_b", "acct_a", "", 0, 1, DeniedAccount},
		{"account = acct_a", hold, "acct_ab", "", "", 0, 1, DeniedAccount},
		{"account = acct_a", hold, "acct_", "", "", 0, 1, DeniedAccount},
		{"account = acct_*", transfer, "acct_", "acct_b", "", 0, 1, Granted},
		{"account = acct_*", transfer, "acct_b", "acct", "", 0, 1, DeniedAccount},
		{"account = acct_a,fees:*", transfer, "acct_a", "fees:9", "", 0, 1, Granted},
		{"account = *;account = a*", hold, "b", "", "", 0, 1, DeniedAccount},
		{"account = a*;account = ab*", hold, "ab", "", "", 0, 1, Granted},
		{"asset = EUR,USD", hold, "a", "", "USD", 0, 1, Granted},
		{"asset = EUR,USD", hold, "a", "", "", 0, 1, DeniedAsset},
		{"asset = EUR,USD", hold, "a", "", "EURO", 0, 1, DeniedAsset},
		{"asset = none", hold, "a", "", "", 0, 1, Granted},
		{"asset = none", hold, "a", "", "EUR", 0, 1, DeniedAsset},
		{"asset = EUR,USD;asset = USD,none", hold, "a", "", "EUR", 0, 1, DeniedAsset},
		{"asset = EUR,USD;asset = USD,none", hold, "a", "", "USD", 0, 1, Granted},
		{"amount <= 7", hold, "a", "", "", 0, 7, Granted},
		{"amount <= 7", hold, "a", "", "", 0, 8, DeniedAmount},
		{"amount <= 7", hold, "a", "", "", 1, 0, DeniedAmount},
		{"amount <= 18446744073709551616", hold, "a", "", "", 1, 0, Granted},
		{"amount <= 18446744073709551616", hold, "a", "", "", 1, 1, DeniedAmount},
		{"amount <= 18446744073709551616", hold, "a", "", "", 0, 1<<64 - 1, Granted},
		{"amount <= 9;amount <= 7;amount <= 8", hold, "a", "", "", 0, 8, DeniedAmount},
		{"kind = Hold;account = b;asset = EUR;amount <= 1", transfer, "a", "", "", 0, 2, DeniedKind},
		{"kind = Hold;account = b;asset = EUR;amount <= 1", hold, "a", "", "", 0, 2, DeniedAccount},
		{"kind = Hold;account = b;asset = EUR;amount <= 1", hold, "b", "", "", 0, 2, DeniedAsset},
		{"kind = Hold;account = b;asset = EUR;amount <= 1", hold, "b", "", "EUR", 0, 2, DeniedAmount},
	}
	for _, c := range cases {
		rights := verified(t, mintWords(t, splitWords(c.words)...))
		got := rights.Entry(c.kind, []byte(c.account), []byte(c.counterparty), asset(c.asset), c.hi, c.lo)
		if got != c.want {
			t.Errorf("%q: kind %d, %q to %q, %q, %d:%d: %v, want %v", c.words, c.kind, c.account, c.counterparty, c.asset, c.hi, c.lo, got, c.want)
		}
	}
}

func TestDenials(t *testing.T) {
	for d := Granted; d <= DeniedAmount+1; d++ {
		err := d.Err()
		if (err == nil) != (d == Granted) {
			t.Errorf("%v.Err() = %v", d, err)
		}
		if err != nil && ReasonOf(err) != d.Reason() {
			t.Errorf("%v: the error's reason is %s, the denial's %s", d, ReasonOf(err), d.Reason())
		}
	}
	if DeniedExpires.Reason() != ReasonCapInvalid || DeniedOp.Reason() != ReasonPolicyDenied || DeniedUID.String() != "uid" {
		t.Error("the groups of denials have moved")
	}
}

func TestRightsWords(t *testing.T) {
	cases := []struct {
		words string
		want  []string
	}{
		{"", []string{"op = append,read", "kind = Credit,Debit,Transfer,Hold,Release,Capture", "log = a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"}},
		{"kind = Reverse,Mint;governance = reverse;op = read,admin;account = b,a*;asset = USD,none;asset = EUR;amount <= 10;uid = 2,1;gid = 3;" +
			"expires = 2030-01-01T00:00:00Z;not-before = 2020-01-01T01:00:00+01:00",
			[]string{"op = read,admin", "kind = Mint,Reverse", "governance = reverse", "account = a*,b", "asset = nothing", "amount <= 10", "uid = 1,2", "gid = 3",
				"log = a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "not-before = 2020-01-01T00:00:00Z", "expires = 2030-01-01T00:00:00Z"}},
	}
	for _, c := range cases {
		if got := verified(t, mintWords(t, splitWords(c.words)...)).Words(); !slices.Equal(got, c.want) {
			t.Errorf("%q:\n got %q\nwant %q", c.words, got, c.want)
		}
	}
}

// busyRights has every caveat, as an entry on the hot path may meet them.
func busyRights(t testing.TB) *Rights {
	return verified(t, mintWords(t, "op = append", "kind = Transfer,Hold,Mint", "account = acct_*,fees", "asset = CZK,EUR,USD",
		"amount <= 1000000000000", "uid = 1000,1001", "gid = 5,100", "expires = 2090-01-01T00:00:00Z", "not-before = 2020-01-01T00:00:00Z"))
}

var (
	hotAccount, hotCounterparty = []byte("acct_000000000000000001"), []byte("acct_000000000000000002")
	hotAsset                    = asset("EUR")
	hotGroups                   = []uint32{4, 24, 100}
)

func TestChecksAllocateNothing(t *testing.T) {
	rights := busyRights(t)
	revoked := new(Revocations)
	revoked.RevokeID(ID{1})
	var sum int
	allocs := testing.AllocsPerRun(1000, func() {
		sum += int(rights.Entry(3, hotAccount, hotCounterparty, hotAsset, 0, 5))
		sum += int(rights.Entry(3, hotAccount, hotCounterparty, hotAsset, 1, 5))
		sum += int(rights.Session(1000, 7, hotGroups, testLog, 1_900_000_000))
		if DeniedAmount.Err() == nil || rights.Revoked(revoked) || !rights.May(OpAppend) {
			sum++
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
	if sum != 1001*int(DeniedAmount) {
		t.Errorf("the checks did not decide as expected: %d", sum)
	}
}

// entryMostNs is what authorising an entry may cost.
const entryMostNs = 50

// TestAuthorisationIsCheap takes the fastest of many rounds, since other work on the machine
// makes a round slower and none faster. Under the race detector, which makes all of it
// slower, BenchmarkEntry alone says something.
func TestAuthorisationIsCheap(t *testing.T) {
	rights := busyRights(t)
	const round = 10_000
	best := time.Duration(math.MaxInt64)
	for range 200 {
		began := time.Now()
		for range round {
			if rights.Entry(3, hotAccount, hotCounterparty, hotAsset, 0, 5) != Granted {
				t.Fatal("denied")
			}
		}
		best = min(best, time.Since(began))
	}
	perEntry := float64(best.Nanoseconds()) / round
	t.Logf("authorising an entry under every caveat: %.1f ns", perEntry)
	if perEntry >= entryMostNs && !raceEnabled {
		t.Errorf("it takes %.1f ns, less than %d are asked for", perEntry, entryMostNs)
	}
}

func BenchmarkEntry(b *testing.B) {
	rights := busyRights(b)
	b.ReportAllocs()
	for b.Loop() {
		if rights.Entry(3, hotAccount, hotCounterparty, hotAsset, 0, 5) != Granted {
			b.Fatal("denied")
		}
	}
}

func BenchmarkSession(b *testing.B) {
	rights := busyRights(b)
	b.ReportAllocs()
	for b.Loop() {
		if rights.Session(1000, 7, hotGroups, testLog, 1_900_000_000) != Granted {
			b.Fatal("denied")
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	token, ring := mintWords(b, "op = append", "uid = 1000", "expires = 2090-01-01T00:00:00Z"), testRing(b, testKey)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(token, ring, nil); err != nil {
			b.Fatal(err)
		}
	}
}
