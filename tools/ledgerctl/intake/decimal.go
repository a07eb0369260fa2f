package intake

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/rustyonions/ron-ledger/wire"
)

// ScaleMax is how many digits behind the point an amount may have: 128 bits hold 38 in all.
const ScaleMax = 38

// Decimal reads an amount with up to scale digits behind the point, such as 123.45, as a
// count of the smallest unit. It takes digits and a point alone: no sign, no
// separators of thousands, no exponent.
func Decimal(text string, scale int) (wire.Amount, error) {
	whole, fraction, pointed := strings.Cut(text, ".")
	if pointed && (fraction == "" || whole == "") {
		return wire.Amount{}, fmt.Errorf("%q is no amount: digits are wanted on both sides of the point", text)
	}
	kept := strings.TrimRight(fraction, "0")
	if len(kept) > scale {
		return wire.Amount{}, fmt.Errorf("%q has %d digits behind the point, and the scale is %d", text, len(kept), scale)
	}
	digits := strings.TrimLeft(whole+kept+strings.Repeat("0", scale-len(kept)), "0")
	if digits == "" && whole != "" {
		digits = "0"
	}
	return wire.ParseAmount(digits)
}

// Digits writes an integer, a sign before it or not, as a decimal with scale digits behind the point:
// the inverse of Decimal.
func Digits(n *big.Int, scale int) string {
	text := new(big.Int).Abs(n).String()
	if scale > 0 {
		if short := scale + 1 - len(text); short > 0 {
			text = strings.Repeat("0", short) + text
		}
		text = text[:len(text)-scale] + "." + text[len(text)-scale:]
	}
	if n.Sign() < 0 {
		return "-" + text
	}
	return text
}

// Big is an amount as an integer without bounds.
func Big(a wire.Amount) *big.Int {
	n := new(big.Int).Lsh(new(big.Int).SetUint64(a.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(a.Lo))
}
