package capability

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseCaveat(t *testing.T) {
	cases := []struct{ words, want string }{
		{"log=a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "log = a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"},
		{"op = read , append", "op = append,read"},
		{"op = read,read", "op = read"},
		{"kind = Capture,Credit", "kind = Credit,Capture"},
		{"account = b*,a,b*", "account = a,b*"},
		{"account = *", "account = *"},
		{"account = a:/-_.@Z9", "account = a:/-_.@Z9"},
		{"asset = USD,none,BTC-PERP", "asset = none,BTC-PERP,USD"},
		{"asset = -", "asset = -"},
		{"amount<=0", "amount <= 0"},
		{"amount <= 007", "amount <= 7"},
		{"amount <= 340282366920938463463374607431768211455", "amount <= 340282366920938463463374607431768211455"},
		{"uid = 4294967295,0", "uid = 0,4294967295"},
		{"gid = 256,1", "gid = 1,256"},
		{"expires = 2030-01-01T02:00:00+02:00", "expires = 2030-01-01T00:00:00Z"},
		{"not-before = 9999-12-31T23:59:59Z", "not-before = 9999-12-31T23:59:59Z"},
		{" governance = reverse ", "governance = reverse"},
	}
	for _, c := range cases {
		caveat, err := ParseCaveat(c.words)
		if err != nil || caveat.String() != c.want {
			t.Errorf("ParseCaveat(%q) = %q, %v; want %q", c.words, caveat, err, c.want)
		}
	}
}

func TestParseCaveatRefuses(t *testing.T) {
	for _, words := range []string{"", "op", "op append", "= append", "color = red", "OP = read", "op <= read", "amount = 7", "amount < 7", "amount <== 7",
		"op =", "op = ", "op = write", "op = append,", "op = ,", "kind = ", "kind = mint", "kind = Epoch", "kind = 3",
		"log = A0A1A2A3A4A5A6A7A8A9AAABACADAEAF", "log = a0", "log = a0a1a2a3a4a5a6a7a8a9aaabacadaeaf00", "log =",
		"account =", "account = a,,b", "account = a**", "account = *a", "account = a b", "account = ä", "account = " + strings.Repeat("a", 129),
		"asset =", "asset = eur", "asset = TOOLONGXX", "asset = None", "asset = E\x00R",
		"amount <=", "amount <= -1", "amount <= +1", "amount <= 1.5", "amount <= 0x10", "amount <= 1_000",
		"amount <= 340282366920938463463374607431768211456", "amount <= " + strings.Repeat("9", 1000),
		"uid =", "uid = -1", "uid = 4294967296", "uid = 01", "uid = root", "gid = 1.0", "uid = 1;2",
		"uid = 1" + strings.Repeat(",1", 64),
		"expires = tomorrow", "expires = 2030-01-01", "expires = 2030-01-01T00:00:00", "expires = 2030-01-01T00:00:00.5Z", "expires = 1969-12-31T23:59:59Z",
		"expires = 9999-12-31T23:59:59-01:00", "expires = 1893456000", "not-before =", "governance = all", "governance =", "governance <= reverse"} {
		if c, err := ParseCaveat(words); err == nil {
			t.Errorf("ParseCaveat(%q) = %v, want an error", words, c)
		} else if c != (Caveat{}) {
			t.Errorf("ParseCaveat(%q) gives %v beside its error", words, c)
		}
	}
}

// TestCaveatRoundTrip: words, caveat, bytes and back are the same.
func TestCaveatRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c, err := ParseCaveat(drawCaveat(rt, rapid.Bool().Draw(rt, "governance")))
		must(t, err)
		if again, err := ParseCaveat(c.String()); err != nil || again != c {
			rt.Fatalf("%q is read back as %q, %v", c, again, err)
		}
		if again, err := decodeCaveat(c.appendTo(nil)); err != nil || again != c {
			rt.Fatalf("%q is decoded as %q, %v", c, again, err)
		}
	})
}

// FuzzDecodeCaveat: what decodes has one encoding, and words that give it back.
func FuzzDecodeCaveat(f *testing.F) {
	for _, words := range []string{"op = read", "kind = Mint", "account = a*,b", "asset = none,EUR", "amount <= 7", "uid = 1,2", "gid = 3", "expires = 2030-01-01T00:00:00Z", "governance = reverse"} {
		f.Add(caveatsOf(f, words)[0].appendTo(nil))
	}
	f.Add([]byte{12, 1, 0, 0})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		c, err := decodeCaveat(encoded)
		if err != nil {
			return
		}
		if again := string(c.appendTo(nil)); again != string(encoded) {
			t.Fatalf("%x decodes, and encodes as %x", encoded, again)
		}
		if again, err := ParseCaveat(c.String()); err != nil || again != c {
			t.Fatalf("%x is %q, which is read back as %q, %v", encoded, c, again, err)
		}
	})
}

// FuzzParseCaveat: no words panic, and what is read is written so that it is read
// as the same.
func FuzzParseCaveat(f *testing.F) {
	for _, words := range []string{"op = read", "amount <= 7", "account = a*", "expires = 2030-01-01T00:00:00Z", "uid = ", "<=", "= ="} {
		f.Add(words)
	}
	f.Fuzz(func(t *testing.T, words string) {
		c, err := ParseCaveat(words)
		if err != nil {
			return
		}
		if again, err := ParseCaveat(c.String()); err != nil || again != c {
			t.Fatalf("%q is %q, which is read back as %q, %v", words, c, again, err)
		}
	})
}
