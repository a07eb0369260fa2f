package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// JSONDefaults makes the members that a line of JSON leaves out. Where a
// function is nil the member is required.
type JSONDefaults struct {
	Now      func() int64 // Unix milliseconds, for `ts`
	NewNonce func() Nonce // for `nonce`; UUIDv7 keeps the index of the ledger cheap
}

// JSONError says what is wrong with a line of JSON, and where.
type JSONError struct {
	Column int    // of the offending byte in the line, from 1
	Member string // the member that it concerns; empty when it is none
	Detail string
}

// Error names column and member.
func (e *JSONError) Error() string {
	if e.Member == "" {
		return fmt.Sprintf("column %d: %s", e.Column, e.Detail)
	}
	return fmt.Sprintf("column %d: member %q: %s", e.Column, e.Member, e.Detail)
}

// ParseJSONEntry reads one entry in the form of AppendJSON: an object with the
// members
//
//	kind          string; the name of a kind
//	account       string
//	counterparty  string; where the kind has one, and only there
//	amount        string of decimal digits, or an integer; 1 to 2^128-1
//	asset         string; absent or empty: the unnamed unit
//	nonce         string; 16 bytes as UUID, 32 hex digits or base64
//	ref           string likewise; where the kind has one, and only there
//	ts            integer, Unix milliseconds
//	memo          string; its UTF-8 bytes
//	memo_base64   string; a memo that is not UTF-8
//
// and the read-only members `seq`, `time`, `capability` and `kid`, which are
// printed with what the ledger has recorded: they are checked and passed over.
// Any other member, a member twice, one that is missing, a value of another
// type and anything behind the object are errors. What is accepted is what
// AppendEntry accepts. The error is always a *JSONError; f is then unusable.
func ParseJSONEntry(line []byte, f *Fields, defaults JSONDefaults) error {
	if !utf8.Valid(line) {
		return &JSONError{Column: invalidUTF8(line) + 1, Detail: "line is not UTF-8"}
	}
	*f = Fields{}
	p := jsonParser{line: line, decoder: json.NewDecoder(bytes.NewReader(line)), fields: f}
	p.decoder.UseNumber()
	if err := p.object(); err != nil {
		return err
	}
	if err := p.complete(defaults); err != nil {
		return err
	}
	return p.check()
}

// jsonParser holds one line while it is read.
type jsonParser struct {
	line    []byte
	decoder *json.Decoder
	fields  *Fields
	columns [len(jsonMembers)]int // where the value of each member starts; 0: it is absent
}

func (p *jsonParser) fail(column int, member, detail string) error {
	return &JSONError{Column: column, Member: member, Detail: detail}
}

// token returns the next token and the column at which it starts.
func (p *jsonParser) token() (token json.Token, column int, err error) {
	before := int(p.decoder.InputOffset())
	skipped := len(p.line[before:]) - len(bytes.TrimLeft(p.line[before:], " \t\r\n,:"))
	column = before + skipped + 1
	token, err = p.decoder.Token()
	if err == nil {
		return token, column, nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return nil, column, p.fail(column, "", "not valid JSON: "+syntax.Error())
	}
	return nil, column, p.fail(len(p.line)+1, "", "not valid JSON: the line ends before its object does")
}

// object reads the whole line as one object.
func (p *jsonParser) object() error {
	token, column, err := p.token()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return p.fail(column, "", "an entry is a JSON object")
	}
	for p.decoder.More() {
		if err := p.member(); err != nil {
			return err
		}
	}
	if _, _, err = p.token(); err != nil {
		return err
	}
	end := int(p.decoder.InputOffset())
	if rest := bytes.TrimLeft(p.line[end:], " \t\r\n"); len(rest) > 0 {
		return p.fail(len(p.line)-len(rest)+1, "", "something follows the object")
	}
	return nil
}

// member reads a name and its value.
func (p *jsonParser) member() error {
	token, column, err := p.token()
	if err != nil {
		return err
	}
	name, _ := token.(string) // the decoder takes nothing else for a name
	index := memberIndex(name)
	switch {
	case index < 0:
		return p.fail(column, name, "unknown member")
	case p.columns[index] != 0:
		return p.fail(column, name, "stands here for the second time")
	}
	value, column, err := p.token()
	if err != nil {
		return err
	}
	p.columns[index] = column
	text, err := p.text(value, column, &jsonMembers[index])
	if err != nil {
		return err
	}
	if err := jsonMembers[index].set(p.fields, text); err != nil {
		return p.fail(column, name, err.Error())
	}
	return nil
}

// text returns the value of a string, or the digits of a number where the member
// may be one.
func (p *jsonParser) text(value json.Token, column int, member *jsonMember) (string, error) {
	switch value := value.(type) {
	case string:
		if member.takes&takesText == 0 {
			break
		}
		if loneSurrogate(p.line[column-1 : p.decoder.InputOffset()]) {
			return "", p.fail(column, member.name, `a \u escape is half of a surrogate pair`)
		}
		return value, nil
	case json.Number:
		if member.takes&takesInteger != 0 {
			return value.String(), nil
		}
	}
	wanted := map[uint8]string{
		takesText: "a string is wanted", takesInteger: "an integer is wanted, without quotes",
		takesText | takesInteger: "a string of digits or an integer is wanted",
	}
	return "", p.fail(column, member.name, wanted[member.takes])
}

// complete makes what is absent, or says that it is missing.
func (p *jsonParser) complete(defaults JSONDefaults) error {
	f := p.fields
	if p.columns[memberNonce] == 0 && defaults.NewNonce != nil {
		f.Nonce, p.columns[memberNonce] = defaults.NewNonce(), 1
	}
	if p.columns[memberTimestamp] == 0 && defaults.Now != nil {
		f.Timestamp, p.columns[memberTimestamp] = defaults.Now(), 1
	}
	required := []int{memberKind, memberAccount, memberAmount, memberNonce, memberTimestamp}
	if f.Kind.HasCounterparty() {
		required = append(required, memberCounterparty)
	}
	if f.Kind.HasRef() {
		required = append(required, memberRef)
	}
	for _, index := range required {
		if p.columns[index] == 0 {
			return p.fail(1, jsonMembers[index].name, "missing")
		}
	}
	return nil
}

// check holds the members against each other.
func (p *jsonParser) check() error {
	excess := -1
	switch kind := p.fields.Kind; {
	case p.columns[memberCounterparty] != 0 && !kind.HasCounterparty():
		excess = memberCounterparty
	case p.columns[memberRef] != 0 && !kind.HasRef():
		excess = memberRef
	}
	if excess >= 0 {
		return p.fail(p.columns[excess], jsonMembers[excess].name, p.fields.Kind.String()+" has none")
	}
	if p.columns[memberMemo] != 0 && p.columns[memberMemoBase64] != 0 {
		column := max(p.columns[memberMemo], p.columns[memberMemoBase64])
		return p.fail(column, "memo_base64", "memo and memo_base64 exclude each other")
	}
	return nil
}

// invalidUTF8 returns the index of the first byte that is not UTF-8.
func invalidUTF8(b []byte) (at int) {
	for at < len(b) {
		r, size := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && size <= 1 {
			break
		}
		at += size
	}
	return at
}

// loneSurrogate reports whether a JSON string has an escape that is half of a
// surrogate pair, which encoding/json would replace without a word.
func loneSurrogate(raw []byte) bool {
	high := false // the escape before is the first half of a pair
	for i := 0; i < len(raw); {
		unit := -1
		size := 1
		if raw[i] == '\\' {
			size = 2
			if raw[i+1] == 'u' {
				size = 6
				n, _ := strconv.ParseUint(string(raw[i+2:i+6]), 16, 16) // the decoder has checked the digits
				unit = int(n)
			}
		}
		low := unit >= 0xdc00 && unit <= 0xdfff
		if high != low {
			return true
		}
		high = unit >= 0xd800 && unit <= 0xdbff
		i += size
	}
	return high
}
