package capability

import (
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Each caveat has a fuzz target: whatever caveat of its type is appended to whatever token,
// nothing is granted that was not granted before, everything that is still granted is what
// the model grants, and nothing else was taken away. The first argument makes the token
// and the requests, the second is read as the value of the caveat.

func FuzzNarrowLog(f *testing.F)        { fuzzNarrow(f, TypeLog) }
func FuzzNarrowOp(f *testing.F)         { fuzzNarrow(f, TypeOp) }
func FuzzNarrowKind(f *testing.F)       { fuzzNarrow(f, TypeKind) }
func FuzzNarrowAccount(f *testing.F)    { fuzzNarrow(f, TypeAccount) }
func FuzzNarrowAsset(f *testing.F)      { fuzzNarrow(f, TypeAsset) }
func FuzzNarrowAmount(f *testing.F)     { fuzzNarrow(f, TypeAmount) }
func FuzzNarrowUID(f *testing.F)        { fuzzNarrow(f, TypeUID) }
func FuzzNarrowGID(f *testing.F)        { fuzzNarrow(f, TypeGID) }
func FuzzNarrowExpires(f *testing.F)    { fuzzNarrow(f, TypeExpires) }
func FuzzNarrowNotBefore(f *testing.F)  { fuzzNarrow(f, TypeNotBefore) }
func FuzzNarrowGovernance(f *testing.F) { fuzzNarrow(f, TypeGovernance) }

// FuzzNarrowByMany appends several caveats, of all types, in two steps.
func FuzzNarrowByMany(f *testing.F) {
	for seed := range uint64(16) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := newWorld(t, seed)
		first := drawnBy(seed+1, func(rt *rapid.T) []string { return drawCaveats(rt, 4, false) })
		second := drawnBy(seed+2, func(rt *rapid.T) []string { return drawCaveats(rt, 4, false) })
		once, err := w.token.Narrow(caveatsOf(t, first...)...)
		must(t, err)
		twice, err := once.Narrow(caveatsOf(t, second...)...)
		must(t, err)
		w.holds(t, w.rights, verified(t, once), first)
		w.holds(t, verified(t, once), verified(t, twice), slices.Concat(first, second))
	})
}

// fuzzNarrow is the fuzz target of one type.
func fuzzNarrow(f *testing.F, typ CaveatType) {
	for i, c := range seedsOf(f, typ) {
		f.Add(uint64(i), []byte(c.value))
		f.Add(uint64(i)+1000, []byte(c.value))
	}
	f.Fuzz(func(t *testing.T, seed uint64, value []byte) {
		w := newWorld(t, seed)
		c := Caveat{typ, string(value)}
		if len(value) > tokenBytesMax {
			return // TestHostileTokens has those that are too large
		}
		bytes := appended(t, w.token, c.appendTo(nil))
		narrowed, err := verifyBytes(bytes, testRing(t, testKey), nil)
		wellFormed := c.valid() && len(bytes) <= tokenBytesMax
		switch {
		case err != nil && ReasonOf(err) != ReasonCapInvalid:
			t.Fatalf("refused with the reason %s: %v", ReasonOf(err), err)
		case !wellFormed && err == nil:
			t.Fatalf("a malformed value is taken: %x", value)
		case !wellFormed:
			return
		case err != nil && typ == TypeGovernance && !slices.Contains(w.minted, "governance = reverse"):
			return // a grant that the identifier does not have
		case err != nil:
			t.Fatalf("%v is refused: %v", c, err)
		}
		w.requests = append(w.requests, near(c, w.requests)...)
		w.holds(t, w.rights, narrowed, []string{c.String()})
	})
}

// near moves requests to the edges of what a caveat allows.
func near(c Caveat, requests []request) (moved []request) {
	for i, q := range requests {
		before, at := int64(i%3)-1, i/3
		switch c.typ {
		case TypeLog:
			q.log = c.log()
		case TypeAccount:
			patterns := c.patterns()
			name := strings.TrimSuffix(patterns[at%len(patterns)], "*") + strings.Repeat("x", i%2)
			if name == "" || len(name) > accountMax || !isAlnum(name[0]) {
				continue
			}
			q.account = name
		case TypeAsset:
			assets := c.assets()
			q.asset = assetWord(assets[at%len(assets)])
		case TypeAmount:
			q.hi, q.lo = c.amount()
			q.lo += uint64(before)
		case TypeUID:
			q.uid = c.ids()[at%len(c.ids())] + uint32(before)
		case TypeGID:
			q.gid = c.ids()[at%len(c.ids())] + uint32(before)
			if i%2 == 0 {
				q.gid, q.groups = 7, []uint32{q.gid, 9}
			}
		case TypeExpires, TypeNotBefore:
			q.now = max(0, c.unix()+before)
		default:
			continue // op, kind and governance: all of them are among the requests
		}
		moved = append(moved, q)
	}
	return moved
}

// seedsOf are the caveats of a type that the tests have, and edges of its values.
func seedsOf(f *testing.F, typ CaveatType) (seeds []Caveat) {
	f.Helper()
	words := map[CaveatType][]string{
		TypeLog:        {"log = " + ID(testLog).String(), "log = 00000000000000000000000000000001"},
		TypeOp:         {"op = append", "op = read", "op = admin", "op = append,read,admin"},
		TypeKind:       {"kind = Mint", "kind = Reverse,Hold", "kind = " + strings.Join(kindNames[1:], ",")},
		TypeAccount:    {"account = *", "account = a*,b", "account = b:*", "account = ab"},
		TypeAsset:      {"asset = none", "asset = EUR", "asset = EUR,USD,none"},
		TypeAmount:     {"amount <= 0", "amount <= 2", "amount <= 18446744073709551615", "amount <= 340282366920938463463374607431768211455"},
		TypeUID:        {"uid = 0", "uid = 1,2", "uid = 65534", "uid = 4294967295"},
		TypeGID:        {"gid = 0", "gid = 1,2", "gid = 65534", "gid = 4294967295"},
		TypeExpires:    {"expires = 1970-01-01T00:00:00Z", "expires = 1970-01-01T00:16:40Z", "expires = 9999-12-31T23:59:59Z"},
		TypeNotBefore:  {"not-before = 1970-01-01T00:00:00Z", "not-before = 1970-01-01T00:16:40Z", "not-before = 9999-12-31T23:59:59Z"},
		TypeGovernance: {"governance = reverse"},
	}[typ]
	if len(words) == 0 {
		f.Fatalf("%v has no seeds", typ)
	}
	return caveatsOf(f, words...)
}

// drawnBy draws once, the same for a seed.
func drawnBy[T any](seed uint64, draw func(*rapid.T) T) T {
	return rapid.Custom(draw).Example(int(seed >> 1))
}

// TestEveryCaveatHasItsTarget reads this file for a target of each type.
func TestEveryCaveatHasItsTarget(t *testing.T) {
	text, err := os.ReadFile("narrow_test.go")
	must(t, err)
	for typ := TypeLog; int(typ) < len(typeNames); typ++ {
		name := "FuzzNarrow" + strings.ReplaceAll(strings.ToLower(typ.String()), "-", "")
		if !strings.Contains(strings.ToLower(string(text)), "func "+strings.ToLower(name)+"(") {
			t.Errorf("%v has no fuzz target", typ)
		}
	}
}

// world is a token and the requests that it is asked about.
type world struct {
	minted   []string
	token    Token
	rights   *Rights
	requests []request
}

// newWorld draws a token and requests, the same for a seed.
func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{minted: drawnBy(seed, func(rt *rapid.T) []string {
		minted := append([]string{"log = " + ID(testLog).String()}, drawCaveats(rt, 4, true)...)
		if rapid.IntRange(0, 3).Draw(rt, "may reverse") == 0 {
			minted = []string{minted[0], "kind = Reverse,Hold", "governance = reverse"}
		}
		return minted
	})}
	token, err := Mint(testKey, caveatsOf(t, w.minted...)...)
	must(t, err)
	w.token, w.rights = token, verified(t, token)
	w.requests = drawnBy(seed+7, func(rt *rapid.T) (all []request) {
		for range 64 {
			all = append(all, drawRequest(rt))
		}
		return all
	})
	return w
}

// holds checks narrow against wide and against the model of all the words.
func (w *world) holds(t *testing.T, wide, narrow *Rights, words []string) {
	t.Helper()
	for _, q := range w.requests {
		after := grants(narrow, q)
		if after && !grants(wide, q) {
			t.Fatalf("%q narrowed by %q: %+v is granted only after narrowing", w.minted, words, q)
		}
		if want := modelGrants(w.minted, words, q); after != want {
			t.Fatalf("%q narrowed by %q: %+v: granted %v, the model says %v", w.minted, words, q, after, want)
		}
	}
}
