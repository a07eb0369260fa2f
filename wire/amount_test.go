package wire

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func toBig(a Amount) *big.Int {
	n := new(big.Int).SetUint64(a.Hi)
	return n.Lsh(n, 64).Add(n, new(big.Int).SetUint64(a.Lo))
}

// drawAmount draws amounts with a liking for the edges of 64 and 128 bits.
func drawAmount(t *rapid.T, label string) Amount {
	half := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 9, 10, 1<<63 - 1, 1 << 63, 1<<64 - 1}))
	return Amount{Hi: half.Draw(t, label+".hi"), Lo: half.Draw(t, label+".lo")}
}

func TestAmountAgainstBig(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), 128)
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawAmount(t, "a"), drawAmount(t, "b")
		x, y := toBig(a), toBig(b)
		if sum, ok := a.Add(b); ok != (new(big.Int).Add(x, y).Cmp(limit) < 0) || ok && toBig(sum).Cmp(new(big.Int).Add(x, y)) != 0 {
			t.Fatalf("%v + %v = %v, %v", a, b, sum, ok)
		}
		if difference, ok := a.Sub(b); ok != (x.Cmp(y) >= 0) || ok && toBig(difference).Cmp(new(big.Int).Sub(x, y)) != 0 {
			t.Fatalf("%v - %v = %v, %v", a, b, difference, ok)
		}
		if a.Cmp(b) != x.Cmp(y) || a.Less(b) != (x.Cmp(y) < 0) || a.IsZero() != (x.Sign() == 0) {
			t.Fatalf("%v and %v compare wrongly", a, b)
		}
		if a.String() != x.String() {
			t.Fatalf("%x prints as %s", x, a)
		}
		if back, err := ParseAmount(x.String()); err != nil || back != a {
			t.Fatalf("%s reads as %v, %v", x, back, err)
		}
		bytes := a.Bytes()
		if LoadAmount(bytes[:]) != a {
			t.Fatalf("%v does not come back from its bytes", a)
		}
	})
}

func TestParseAmountAgainstBig(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), 128)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[1-9][0-9]{30,45}`).Draw(t, "digits")
		n, _ := new(big.Int).SetString(s, 10)
		a, err := ParseAmount(s)
		if (err == nil) != (n.Cmp(limit) < 0) || err == nil && toBig(a).Cmp(n) != 0 {
			t.Fatalf("%s reads as %v, %v", s, a, err)
		}
	})
}

func TestParseAmount(t *testing.T) {
	for s, want := range map[string]string{
		"0": "", "1": "", "340282366920938463463374607431768211455": "",
		"": "empty", "00": "leading zero", "01": "leading zero", "-1": "not a decimal digit", "+1": "not a decimal digit",
		"1.0": "not a decimal digit", "1e3": "not a decimal digit", " 1": "not a decimal digit", "1 ": "not a decimal digit",
		"340282366920938463463374607431768211456": "greater than", "3402823669209384634633746074317682114550": "greater than",
		"999999999999999999999999999999999999999": "greater than", "١": "not a decimal digit",
	} {
		a, err := ParseAmount(s)
		switch {
		case want == "" && (err != nil || a.String() != s):
			t.Errorf("%q: %v, %v", s, a, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: error is %v, want %q", s, err, want)
		}
	}
}
