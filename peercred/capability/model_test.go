package capability

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The model reads the words of caveats and judges one request at a time, straight
// from the sentences of the package comment: no sets, no compilation, no bytes.

type request struct {
	op                    string // append, read or admin
	kind                  uint8
	account, counterparty string
	asset                 string // in words
	hi, lo                uint64
	uid, gid              uint32
	groups                []uint32
	log                   [16]byte
	now                   int64
}

// modelGrants judges a token that was minted with some words and narrowed with others.
func modelGrants(minted, narrowed []string, q request) bool {
	names := func(caveat, name string) bool { // whether minting named it
		return slices.ContainsFunc(minted, func(w string) bool { c, v := cut(w); return c == caveat && contains(v, name) })
	}
	kind := map[uint8]string{1: "Credit", 2: "Debit", 3: "Transfer", 4: "Mint", 5: "Burn", 6: "Hold", 7: "Reverse", 8: "Release", 9: "Capture"}[q.kind]
	if q.uid == 65534 || q.op == "admin" && !names("op", "admin") {
		return false
	}
	if q.op == "append" {
		if kind == "" || (kind == "Mint" || kind == "Burn" || kind == "Reverse") && !names("kind", kind) {
			return false
		}
		if kind == "Reverse" && !names("governance", "reverse") {
			return false
		}
	}
	for _, w := range slices.Concat(minted, narrowed) {
		if !modelHolds(w, kind, q) {
			return false
		}
	}
	return true
}

func modelHolds(words, kind string, q request) bool {
	name, value := cut(words)
	forEntries := slices.Contains([]string{"kind", "account", "asset", "amount"}, name)
	if forEntries && q.op != "append" {
		return true
	}
	switch name {
	case "log":
		return value == ID(q.log).String()
	case "op":
		return contains(value, q.op)
	case "kind":
		return contains(value, kind)
	case "account":
		if kind == "Reverse" && !contains(value, "*") {
			return false
		}
		return modelAccount(value, q.account) && (q.counterparty == "" || modelAccount(value, q.counterparty))
	case "asset":
		return contains(value, q.asset)
	case "amount":
		bound, _ := new(big.Int).SetString(value, 10)
		amount := new(big.Int).Lsh(new(big.Int).SetUint64(q.hi), 64)
		return amount.Add(amount, new(big.Int).SetUint64(q.lo)).Cmp(bound) <= 0
	case "uid":
		return contains(value, strconv.Itoa(int(q.uid)))
	case "gid":
		in := func(gid uint32) bool { return gid != 65534 && contains(value, strconv.Itoa(int(gid))) }
		return in(q.gid) || slices.ContainsFunc(q.groups, in)
	case "expires", "not-before":
		at, err := time.Parse(time.RFC3339, value)
		return err == nil && time.Unix(q.now, 0).Before(at) == (name == "expires")
	default:
		return name == "governance" && value == "reverse"
	}
}

func modelAccount(patterns, account string) bool {
	for p := range strings.SplitSeq(patterns, ",") {
		if p == account || strings.HasSuffix(p, "*") && strings.HasPrefix(account, p[:len(p)-1]) {
			return true
		}
	}
	return false
}

func cut(words string) (name, value string) {
	fields := strings.Fields(words) // name, sign, value
	return fields[0], fields[2]
}

func contains(list, word string) bool { return slices.Contains(strings.Split(list, ","), word) }

// grants is what the session asks of real rights.
func grants(rights *Rights, q request) bool {
	if rights.Session(q.uid, q.gid, q.groups, q.log, q.now) != Granted || !rights.May(Op(1)<<slices.Index(opNames[:], q.op)) {
		return false
	}
	a, err := parseAsset(q.asset)
	return err == nil && (q.op != "append" || rights.Entry(q.kind, []byte(q.account), []byte(q.counterparty), a, q.hi, q.lo) == Granted)
}

// The generators draw from few values, so that caveats and requests meet.
var (
	someNames  = []string{"a", "ab", "abc", "b", "b:1", "b:2"}
	someAssets = []string{"none", "EUR", "USD", "X"}
	someLogs   = [][16]byte{testLog, testLog, testLog, {1}}
	someIDs    = []uint32{0, 1, 2, 65534}
	someTimes  = []int64{0, 1, 1000, 2000, unixMax}
)

func pick[T any](t *rapid.T, from []T) T { return rapid.SampledFrom(from).Draw(t, "pick") }

func drawRequest(t *rapid.T) request {
	q := request{op: pick(t, []string{"append", "append", "append", "read", "admin"}), kind: pick(t, []uint8{0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 240}),
		account: pick(t, someNames), asset: pick(t, someAssets), hi: pick(t, []uint64{0, 0, 1}), lo: pick(t, []uint64{1, 2, 3, 1<<64 - 1}),
		uid: pick(t, someIDs), gid: pick(t, someIDs), groups: rapid.SliceOfN(rapid.SampledFrom(someIDs), 0, 2).Draw(t, "groups"),
		log: pick(t, someLogs), now: pick(t, someTimes)}
	if rapid.Bool().Draw(t, "has counterparty") {
		q.counterparty = pick(t, someNames)
	}
	return q
}

func drawCaveat(t *rapid.T, governance bool) string {
	list := func(from ...string) string {
		return strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, len(from), rapid.ID[string]).Draw(t, "list"), ",")
	}
	switch what := rapid.IntRange(0, 10).Draw(t, "type"); what {
	case 0:
		return "op = " + list(opNames[:]...)
	case 1, 2:
		return "kind = " + list(kindNames[1:]...)
	case 3:
		return "account = " + list("a*", "ab", "b:*", "b", "*", "abc*")
	case 4:
		return "asset = " + list(someAssets...)
	case 5:
		return "amount <= " + pick(t, []string{"0", "2", "3", "18446744073709551615", "18446744073709551618", "340282366920938463463374607431768211455"})
	case 6:
		return "uid = " + list("0", "1", "2", "65534")
	case 7:
		return "gid = " + list("0", "1", "2", "65534")
	case 8:
		return "expires = " + timeWord(pick(t, someTimes))
	case 9:
		return "not-before = " + timeWord(pick(t, someTimes))
	}
	if governance {
		return "governance = reverse"
	}
	return "log = " + ID(pick(t, someLogs)).String()
}

func drawCaveats(t *rapid.T, countMax int, governance bool) []string {
	words := make([]string, rapid.IntRange(0, countMax).Draw(t, "caveats"))
	for i := range words {
		words[i] = drawCaveat(t, governance)
	}
	return words
}

// TestRightsAgreeWithModel holds the compiled rights against the model, before and
// after narrowing, and checks that narrowing never widens.
func TestRightsAgreeWithModel(t *testing.T) {
	granted, reversals, admins := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		minted := append([]string{"log = " + ID(testLog).String()}, drawCaveats(rt, 4, true)...)
		if rapid.IntRange(0, 3).Draw(rt, "may reverse") == 0 {
			minted = []string{minted[0], "kind = Reverse,Hold", "governance = reverse"}
		}
		narrowed := drawCaveats(rt, 3, false)
		token, err := Mint(testKey, caveatsOf(t, minted...)...)
		must(t, err)
		less, err := token.Narrow(caveatsOf(t, narrowed...)...)
		must(t, err)
		wide, narrow := verified(t, token), verified(t, less)
		for range 256 {
			q := drawRequest(rt)
			before, after := grants(wide, q), grants(narrow, q)
			if after && !before {
				rt.Fatalf("%q narrowed by %q: %+v is granted only after narrowing", minted, narrowed, q)
			}
			if want := modelGrants(minted, nil, q); before != want {
				rt.Fatalf("%q: %+v: granted %v, the model says %v", minted, q, before, want)
			}
			if want := modelGrants(minted, narrowed, q); after != want {
				rt.Fatalf("%q narrowed by %q: %+v: granted %v, the model says %v", minted, narrowed, q, after, want)
			}
			if after {
				granted++
				if q.op == "admin" {
					admins++
				} else if q.op == "append" && q.kind == kindReverse {
					reversals++
				}
			}
		}
	})
	if granted < 100 || admins == 0 || reversals == 0 {
		t.Errorf("the generators reached too little: %d granted, %d of them admin, %d reversals", granted, admins, reversals)
	}
}

// allRequests is a small world that every appended caveat is judged against.
func allRequests() (all []request) {
	for _, op := range opNames {
		for kind := range uint8(kindMax + 2) {
			for _, account := range []string{"a", "b:1"} {
				for _, asset := range []string{"none", "EUR"} {
					for _, uid := range []uint32{0, 1} {
						for _, now := range []int64{1, 1000} {
							all = append(all, request{op: op, kind: kind, account: account, counterparty: "a", asset: asset, lo: 2, uid: uid, gid: uid, log: testLog, now: now})
						}
					}
				}
			}
		}
	}
	return all
}

// FuzzAppendedBytesNeverWiden lets a holder append any bytes as caveats, with the MAC
// that a holder can make. What comes out is refused or allows nothing more.
func FuzzAppendedBytesNeverWiden(f *testing.F) {
	for i, words := range []string{"op = append,read,admin", "op = admin", "kind = Mint,Burn,Reverse", "kind = Reverse", "governance = reverse",
		"account = *", "asset = none,EUR", "amount <= 340282366920938463463374607431768211455", "uid = 0,1", "gid = 0,1", "expires = 9999-12-31T23:59:59Z",
		"not-before = 1970-01-01T00:00:00Z", "log = " + ID(testLog).String()} {
		f.Add(uint8(i), caveatsOf(f, words)[0].appendTo(nil), []byte{})
	}
	f.Add(uint8(3), CaveatGovernance().appendTo(nil), Caveat{TypeKind, "\x80\x00"}.appendTo(nil))
	f.Add(uint8(0), []byte{12, 0, 0}, []byte{})
	parents := [][]string{{}, {"op = read"}, {"kind = Mint,Transfer"}, {"kind = Reverse,Hold"}, {"governance = reverse"}, {"kind = Reverse", "governance = reverse"},
		{"op = admin,append"}, {"account = a", "asset = EUR"}, {"amount <= 1"}, {"uid = 1"}, {"expires = 1970-01-01T00:10:00Z"}, {"gid = 0"}}
	tokens, before := make([]Token, len(parents)), make([][]bool, len(parents))
	requests := allRequests()
	for i, words := range parents {
		tokens[i] = mintWords(f, words...)
		rights := verified(f, tokens[i])
		for _, q := range requests {
			before[i] = append(before[i], grants(rights, q))
		}
	}
	f.Fuzz(func(t *testing.T, parent uint8, first, second []byte) {
		i := int(parent) % len(tokens)
		rights, err := verifyBytes(appended(t, tokens[i], first, second), testRing(t, testKey), nil)
		if err != nil {
			if ReasonOf(err) != ReasonCapInvalid {
				t.Fatalf("refused with the reason %s: %v", ReasonOf(err), err)
			}
			return
		}
		for j, q := range requests {
			if grants(rights, q) && !before[i][j] {
				t.Fatalf("%q, with %x and %x appended, grants %+v", parents[i], first, second, q)
			}
		}
	})
}
