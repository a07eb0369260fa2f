package capability

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// KID is the id of a root key. It is no secret.
type KID [8]byte

// ID is the id of a capability: of a minted token and of all that were narrowed
// from it. It is no secret.
type ID [16]byte

// String gives 16 hex digits.
func (k KID) String() string { return hex.EncodeToString(k[:]) }

// String gives 32 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Op is a set of operations.
type Op uint8

// The operations.
const (
	OpAppend Op = 1 << iota
	OpRead
	OpAdmin

	opsKnown   = OpAppend | OpRead | OpAdmin
	opsDefault = OpAppend | OpRead
)

var opNames = [...]string{"append", "read", "admin"}

// String gives the names, comma separated: "append,read".
func (o Op) String() string { return bitWords(uint16(o), opNames[:]) }

// The numbers of the kinds that have rules of their own here.
const (
	kindMint    = 4
	kindBurn    = 5
	kindReverse = 7
	kindMax     = 9

	kindsKnown   uint16 = 1<<(kindMax+1) - 1<<1
	kindsByName  uint16 = 1<<kindMint | 1<<kindBurn | 1<<kindReverse
	kindsDefault        = kindsKnown &^ kindsByName
)

// kindNames has the names of the kinds at their numbers; 0 is no kind.
var kindNames = [kindMax + 1]string{"", "Credit", "Debit", "Transfer", "Mint", "Burn", "Hold", "Reverse", "Release", "Capture"}

// bitWords names the bits that are set, lowest first.
func bitWords(bits uint16, names []string) string {
	var words []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	return strings.Join(words, ",")
}

// parseBits is the reverse of bitWords, for names in any order.
func parseBits(list string, names []string) (bits uint16, err error) {
	for name := range strings.SplitSeq(list, ",") {
		i := indexOf(names, strings.TrimSpace(name))
		if i < 0 {
			known := strings.TrimPrefix(strings.Join(names, ", "), ", ")
			return 0, fmt.Errorf("%q is not one of %s", strings.TrimSpace(name), known)
		}
		bits |= 1 << i
	}
	return bits, nil
}

func indexOf(names []string, name string) int {
	for i, known := range names {
		if known == name && name != "" {
			return i
		}
	}
	return -1
}

// parseHex fills dst from exactly 2*len(dst) lower case hex digits. The error never
// repeats the text: it may be a secret in the wrong place.
func parseHex(dst []byte, text string) error {
	if len(text) != 2*len(dst) || strings.Trim(text, "0123456789abcdef") != "" {
		return fmt.Errorf("expected %d lower case hex digits", 2*len(dst))
	}
	_, err := hex.Decode(dst, []byte(text))
	return err
}
