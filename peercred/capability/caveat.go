package capability

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// CaveatType is the type byte of a caveat.
type CaveatType uint8

// The types of caveats. Their numbers are fixed for ever.
const (
	TypeLog CaveatType = 1 + iota
	TypeOp
	TypeKind
	TypeAccount
	TypeAsset
	TypeAmount
	TypeUID
	TypeGID
	TypeExpires
	TypeNotBefore
	TypeGovernance
)

var typeNames = [...]string{"", "log", "op", "kind", "account", "asset", "amount", "uid", "gid", "expires", "not-before", "governance"}

// String is the word that people write for the type.
func (t CaveatType) String() string {
	if t >= TypeLog && int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("unknown type %d", uint8(t))
}

const (
	caveatHeaderBytes = 3
	listMax           = 64           // elements of a list
	accountMax        = 128          // bytes of an account name
	unixMax           = 253402300799 // 9999-12-31T23:59:59Z
	governanceReverse = 1
)

// Caveat is one condition of a token, well formed by construction. Caveats are
// comparable; equal caveats have equal bytes and equal words. The zero Caveat is none.
type Caveat struct {
	typ   CaveatType
	value string
}

// Type is the type of the caveat.
func (c Caveat) Type() CaveatType { return c.typ }

// CaveatLog binds the token to a log.
func CaveatLog(id [16]byte) Caveat { return Caveat{TypeLog, string(id[:])} }

// CaveatOp limits the operations; ops must not be empty.
func CaveatOp(ops Op) (Caveat, error) { return newCaveat(TypeOp, []byte{byte(ops)}) }

// CaveatKind limits the kinds of entries, by number; given to [Mint], it also grants.
func CaveatKind(kinds ...uint8) (Caveat, error) {
	var bits uint16
	for _, kind := range kinds {
		if kind < 1 || kind > kindMax {
			return Caveat{}, fmt.Errorf("make a kind caveat: there is no kind %d", kind)
		}
		bits |= 1 << kind
	}
	return newCaveat(TypeKind, binary.LittleEndian.AppendUint16(nil, bits))
}

// CaveatAccount limits the accounts to names, or to those that begin with what
// stands before a closing *.
func CaveatAccount(patterns ...string) (Caveat, error) {
	var value []byte
	for _, pattern := range sortedSet(patterns) {
		if !validPattern(pattern) {
			return Caveat{}, fmt.Errorf("make an account caveat: %q is no account name, nor the beginning of one before a closing *", pattern)
		}
		value = append(append(value, byte(len(pattern))), pattern...)
	}
	return newCaveat(TypeAccount, value)
}

// CaveatAsset limits the assets, each as in an entry: zero padded, all zero for the
// unnamed unit.
func CaveatAsset(assets ...[8]byte) (Caveat, error) {
	slices.SortFunc(assets, func(a, b [8]byte) int { return bytes.Compare(a[:], b[:]) })
	var value []byte
	for _, asset := range slices.Compact(assets) {
		value = append(value, asset[:]...)
	}
	return newCaveat(TypeAsset, value)
}

// CaveatAmountMax bounds the amount of an entry: hi·2⁶⁴ + lo, in the smallest unit.
func CaveatAmountMax(hi, lo uint64) Caveat {
	value := binary.LittleEndian.AppendUint64(nil, lo)
	return Caveat{TypeAmount, string(binary.LittleEndian.AppendUint64(value, hi))}
}

// CaveatUID limits the peers by uid.
func CaveatUID(uids ...uint32) (Caveat, error) { return newCaveat(TypeUID, idBytes(uids)) }

// CaveatGID limits the peers to those that are in one of the groups.
func CaveatGID(gids ...uint32) (Caveat, error) { return newCaveat(TypeGID, idBytes(gids)) }

// CaveatExpires ends the token at a time in Unix seconds, from 0 to the year 9999.
func CaveatExpires(unix int64) (Caveat, error) {
	return newCaveat(TypeExpires, binary.LittleEndian.AppendUint64(nil, uint64(unix)))
}

// CaveatNotBefore begins the token at a time in Unix seconds, from 0 to the year 9999.
func CaveatNotBefore(unix int64) (Caveat, error) {
	return newCaveat(TypeNotBefore, binary.LittleEndian.AppendUint64(nil, uint64(unix)))
}

// CaveatGovernance grants reversals, beside a kind caveat that names Reverse. Only
// [Mint] takes it.
func CaveatGovernance() Caveat { return Caveat{TypeGovernance, string([]byte{governanceReverse})} }

func newCaveat(typ CaveatType, value []byte) (Caveat, error) {
	c := Caveat{typ, string(value)}
	if err := c.validate(); err != nil {
		return Caveat{}, err
	}
	return c, nil
}

// appendTo appends the bytes of the caveat.
func (c Caveat) appendTo(dst []byte) []byte {
	dst = append(dst, byte(c.typ))
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(c.value)))
	return append(dst, c.value...)
}

// decodeCaveat accepts exactly what appendTo makes of a valid caveat.
func decodeCaveat(encoded []byte) (Caveat, error) {
	if len(encoded) < caveatHeaderBytes {
		return Caveat{}, fmt.Errorf("decode a caveat: it has %d bytes, the header alone %d", len(encoded), caveatHeaderBytes)
	}
	c := Caveat{CaveatType(encoded[0]), string(encoded[caveatHeaderBytes:])}
	if length := int(binary.LittleEndian.Uint16(encoded[1:])); length != len(c.value) {
		return Caveat{}, fmt.Errorf("decode a caveat (%v): its value has %d bytes, its length says %d", c.typ, len(c.value), length)
	}
	if err := c.validate(); err != nil {
		return Caveat{}, err
	}
	return c, nil
}

// validate checks that the value is what its type can have, in its one encoding.
func (c Caveat) validate() error {
	if !c.valid() {
		if c.typ < TypeLog || int(c.typ) >= len(typeNames) {
			return fmt.Errorf("check a caveat: %v: this program does not know what it forbids", c.typ)
		}
		return fmt.Errorf("check a caveat: the value of %v is empty, out of bounds, out of order or of a wrong length", c.typ)
	}
	return nil
}

func (c Caveat) valid() bool {
	switch c.typ {
	case TypeLog, TypeAmount:
		return len(c.value) == 16
	case TypeOp:
		return len(c.value) == 1 && c.value[0] != 0 && Op(c.value[0])&^opsKnown == 0
	case TypeKind:
		return len(c.value) == 2 && c.kinds() != 0 && c.kinds()&^kindsKnown == 0
	case TypeAccount:
		return validPatterns(c.value)
	case TypeAsset:
		return ascending(c.value, 8, strings.Compare) && !slices.ContainsFunc(c.assets(), func(a [8]byte) bool { return !validAsset(a) })
	case TypeUID, TypeGID:
		return ascending(c.value, 4, func(a, b string) int { return cmp.Compare(u32(a), u32(b)) })
	case TypeExpires, TypeNotBefore:
		return len(c.value) == 8 && c.unix() >= 0 && c.unix() <= unixMax
	case TypeGovernance:
		return c.value == string([]byte{governanceReverse})
	default:
		return false
	}
}

// ascending checks a list of elements of one size: 1 to listMax of them, each
// greater than the one before.
func ascending(value string, size int, compare func(a, b string) int) bool {
	if len(value) == 0 || len(value)%size != 0 || len(value)/size > listMax {
		return false
	}
	for at := size; at < len(value); at += size {
		if compare(value[at-size:at], value[at:at+size]) >= 0 {
			return false
		}
	}
	return true
}

func validPatterns(value string) bool {
	before, count := "", 0
	for len(value) > 0 {
		length := int(value[0])
		if length >= len(value) {
			return false
		}
		pattern := value[1 : 1+length]
		if !validPattern(pattern) || pattern <= before {
			return false
		}
		before, value = pattern, value[1+length:]
		count++
	}
	return count >= 1 && count <= listMax
}

// validPattern accepts an account name, or what can begin one and then a *.
func validPattern(pattern string) bool {
	name, isPrefix := strings.CutSuffix(pattern, "*")
	if len(name) > accountMax || len(name) == 0 && !isPrefix {
		return false
	}
	for i := range len(name) {
		if !isAlnum(name[i]) && strings.IndexByte(":/-_.@", name[i]) < 0 {
			return false
		}
	}
	return true
}

// validAsset accepts what an entry can have: A-Z 0-9 . -, then zeros, or all zero.
func validAsset(asset [8]byte) bool {
	name := bytes.TrimRight(asset[:], "\x00")
	for _, b := range name {
		if !(b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '.' || b == '-') {
			return false
		}
	}
	return true
}

func isAlnum(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// The accessors below are for caveats of the type that they name.

func (c Caveat) log() [16]byte { return [16]byte([]byte(c.value)) }
func (c Caveat) ops() Op       { return Op(c.value[0]) }
func (c Caveat) kinds() uint16 { return binary.LittleEndian.Uint16([]byte(c.value)) }
func (c Caveat) unix() int64   { return int64(binary.LittleEndian.Uint64([]byte(c.value))) }

func (c Caveat) amount() (hi, lo uint64) {
	value := []byte(c.value)
	return binary.LittleEndian.Uint64(value[8:]), binary.LittleEndian.Uint64(value)
}

func (c Caveat) patterns() (patterns []string) {
	for value := c.value; len(value) > 0; value = value[1+int(value[0]):] {
		patterns = append(patterns, value[1:1+int(value[0])])
	}
	return patterns
}

func (c Caveat) assets() (assets [][8]byte) {
	for chunk := range slices.Chunk([]byte(c.value), 8) {
		assets = append(assets, [8]byte(chunk))
	}
	return assets
}

func (c Caveat) ids() (ids []uint32) {
	for at := 0; at < len(c.value); at += 4 {
		ids = append(ids, u32(c.value[at:]))
	}
	return ids
}

func u32(value string) uint32 { return binary.LittleEndian.Uint32([]byte(value[:4])) }

func idBytes(ids []uint32) (value []byte) {
	for _, id := range sortedSet(ids) {
		value = binary.LittleEndian.AppendUint32(value, id)
	}
	return value
}

func sortedSet[T ~string | ~uint32](list []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}
