package capability

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
)

// assetNone is the word for the unnamed unit. No asset can have it as its name: they
// have no lower case letters.
const assetNone = "none"

// String gives the caveat in words, as [ParseCaveat] reads them.
func (c Caveat) String() string {
	if !c.valid() {
		return c.typ.String()
	}
	if c.typ == TypeAmount {
		hi, lo := c.amount()
		return "amount <= " + amountWord(hi, lo)
	}
	return c.typ.String() + " = " + c.valueWords()
}

func (c Caveat) valueWords() string {
	switch c.typ {
	case TypeLog:
		return ID(c.log()).String()
	case TypeOp:
		return c.ops().String()
	case TypeKind:
		return bitWords(c.kinds(), kindNames[:])
	case TypeAccount:
		return strings.Join(c.patterns(), ",")
	case TypeAsset:
		return listWords(c.assets(), assetWord)
	case TypeUID, TypeGID:
		return listWords(c.ids(), idWord)
	case TypeExpires, TypeNotBefore:
		return timeWord(c.unix())
	default:
		return "reverse"
	}
}

// ParseCaveat reads a caveat in words, such as "op = append,read" or
// "amount <= 1000". Spaces around the sign and the commas may be left out; lists may
// be in any order. Times are RFC 3339 with whole seconds, in any zone.
func ParseCaveat(words string) (Caveat, error) {
	name, value, found := strings.Cut(words, "=")
	if !found {
		return Caveat{}, fmt.Errorf("parse caveat %q: write a name, a sign and a value, such as op = append,read", words)
	}
	name, less := strings.CutSuffix(name, "<")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	typ := CaveatType(max(indexOf(typeNames[:], name), 0))
	switch {
	case typ == 0:
		return Caveat{}, fmt.Errorf("parse caveat %q: %q is not one of %s", words, name, strings.Join(typeNames[1:], ", "))
	case less != (typ == TypeAmount):
		return Caveat{}, fmt.Errorf("parse caveat %q: amount takes <=, all others take =", words)
	}
	c, err := parseValue(typ, value)
	if err != nil {
		return Caveat{}, fmt.Errorf("parse caveat %q: %w", words, err)
	}
	return c, nil
}

func parseValue(typ CaveatType, value string) (Caveat, error) {
	switch typ {
	case TypeLog:
		var id ID
		err := parseHex(id[:], value)
		return CaveatLog(id), err
	case TypeOp:
		bits, err := parseBits(value, opNames[:])
		if err != nil {
			return Caveat{}, err
		}
		return CaveatOp(Op(bits))
	case TypeKind:
		bits, err := parseBits(value, kindNames[:])
		if err != nil {
			return Caveat{}, err
		}
		return newCaveat(TypeKind, []byte{byte(bits), byte(bits >> 8)})
	case TypeAccount:
		patterns, err := parseList(value, func(word string) (string, error) { return word, nil })
		if err != nil {
			return Caveat{}, err
		}
		return CaveatAccount(patterns...)
	case TypeAsset:
		assets, err := parseList(value, parseAsset)
		if err != nil {
			return Caveat{}, err
		}
		return CaveatAsset(assets...)
	case TypeAmount:
		return parseAmount(value)
	case TypeUID, TypeGID:
		ids, err := parseList(value, parseID)
		if err != nil {
			return Caveat{}, err
		}
		return newCaveat(typ, idBytes(ids))
	case TypeExpires, TypeNotBefore:
		return parseTime(typ, value)
	default:
		if value != "reverse" {
			return Caveat{}, fmt.Errorf("governance can only be reverse")
		}
		return CaveatGovernance(), nil
	}
}

func parseList[T any](list string, parse func(word string) (T, error)) (elements []T, err error) {
	for word := range strings.SplitSeq(list, ",") {
		element, err := parse(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	if len(elements) > listMax {
		return nil, fmt.Errorf("the list has %d elements, at most %d are allowed", len(elements), listMax)
	}
	return elements, nil
}

func listWords[T any](elements []T, word func(T) string) string {
	words := make([]string, len(elements))
	for i, element := range elements {
		words[i] = word(element)
	}
	return strings.Join(words, ",")
}

func assetWord(asset [8]byte) string {
	if asset == [8]byte{} {
		return assetNone
	}
	return string(bytes.TrimRight(asset[:], "\x00"))
}

func parseAsset(word string) (asset [8]byte, err error) {
	if word == assetNone {
		return asset, nil
	}
	copy(asset[:], word)
	if len(word) == 0 || len(word) > len(asset) || strings.IndexByte(word, 0) >= 0 || !validAsset(asset) {
		return asset, fmt.Errorf("%q is no asset: write 1 to 8 of A-Z 0-9 . - or none for the unnamed unit", word)
	}
	return asset, nil
}

func idWord(id uint32) string { return strconv.FormatUint(uint64(id), 10) }

func parseID(word string) (uint32, error) {
	id, err := strconv.ParseUint(word, 10, 32)
	if err != nil || word != strconv.FormatUint(id, 10) {
		return 0, fmt.Errorf("%q is no uid or gid: write a decimal number below 2^32", word)
	}
	return uint32(id), nil
}

func amountWord(hi, lo uint64) string {
	n := new(big.Int).SetUint64(hi)
	return n.Or(n.Lsh(n, 64), new(big.Int).SetUint64(lo)).String()
}

func parseAmount(word string) (Caveat, error) {
	const digitsMax = 39 // of 2^128 - 1
	n := new(big.Int)
	if len(word) > digitsMax || word == "" || strings.Trim(word, "0123456789") != "" {
		return Caveat{}, fmt.Errorf("%q is no amount: write a decimal number below 2^128", word)
	}
	n.SetString(word, 10)
	if n.BitLen() > 128 {
		return Caveat{}, fmt.Errorf("%q is no amount: write a decimal number below 2^128", word)
	}
	return CaveatAmountMax(new(big.Int).Rsh(n, 64).Uint64(), new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1)).Uint64()), nil
}

func timeWord(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }

func parseTime(typ CaveatType, word string) (Caveat, error) {
	at, err := time.Parse(time.RFC3339, word)
	if err != nil || at.Nanosecond() != 0 || at.Unix() < 0 || at.Unix() > unixMax {
		return Caveat{}, fmt.Errorf("%q is no time: write RFC 3339 with whole seconds, such as 2030-01-02T03:04:05Z", word)
	}
	return newCaveat(typ, binary.LittleEndian.AppendUint64(nil, uint64(at.Unix())))
}
