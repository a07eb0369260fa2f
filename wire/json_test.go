package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var testDefaults = JSONDefaults{
	Now:      func() int64 { return 1728794183123 },
	NewNonce: func() Nonce { return Nonce{0xff} },
}

const nonceJSON = `"00a8faaa-c000-7000-8000-000000000001"`

func TestParseJSONEntryAccepts(t *testing.T) {
	base := Fields{Kind: KindMint, Account: "a", Amount: AmountOf(5), Nonce: Nonce{0xff}, Timestamp: 1728794183123}
	with := func(change func(f *Fields)) Fields {
		f := base
		change(&f)
		return f
	}
	counting := Nonce{0, 0x10, 0x83, 0x10, 0x51, 0x87, 0x20, 0x92, 0x8b, 0x30, 0xd3, 0x8f, 0x41, 0x14, 0x93, 0x51}
	nonce := func(s string) string { return `{"kind":"Mint","account":"a","amount":5,"nonce":"` + s + `"}` }
	wantNonce := with(func(f *Fields) { f.Nonce = counting })
	for line, want := range map[string]Fields{
		`{"kind":"Mint","account":"a","amount":"5"}`:                                               base,
		" {\t\"amount\" : 5 , \"account\":\"a\",\r\n\"kind\":\"Mint\" } \n":                        base,
		`{"kind":"Mint","account":"a","amount":5,"seq":7,"time":"2024-10-13T04:36:23.123Z"}`:       base,
		`{"kind":"Mint","account":"a","amount":5,"kid":"0011223344556677"}`:                        base,
		`{"kind":"Mint","account":"a","amount":5,"capability":"00112233445566778899aabbccddeeff"}`: base,
		`{"k\u0069nd":"Mint","account":"a","amount":5,"memo":"","asset":""}`:                       base,
		`{"kind":"Mint","account":"a","amount":5,"ts":-1}`:                                         with(func(f *Fields) { f.Timestamp = -1 }),
		`{"kind":"Mint","account":"a","amount":5,"asset":"EUR"}`:                                   with(func(f *Fields) { f.Asset = Asset{'E', 'U', 'R'} }),
		`{"kind":"Mint","account":"a","amount":5,"memo":"h\u00e9 \ud83d\ude00 \\ud800 \ufffd"}`:    with(func(f *Fields) { f.Memo = []byte("hé 😀 \\ud800 \ufffd") }),
		`{"kind":"Mint","account":"a","amount":5,"memo_base64":"AP8="}`:                            with(func(f *Fields) { f.Memo = []byte{0, 0xff} }),
		`{"kind":"Mint","account":"a","amount":340282366920938463463374607431768211455}`:           with(func(f *Fields) { f.Amount = MaxAmount }),
		`{"kind":"Mint","account":"a","amount":"340282366920938463463374607431768211455"}`:         with(func(f *Fields) { f.Amount = MaxAmount }),
		`{"kind":"Transfer","account":"a","amount":5,"counterparty":"b"}`:                          with(func(f *Fields) { f.Kind, f.Counterparty = KindTransfer, "b" }),
		`{"kind":"Reverse","account":"a","amount":5,"ref":"ff000000000000000000000000000000"}`:     with(func(f *Fields) { f.Kind, f.Ref = KindReverse, Nonce{0xff} }),
		nonce("00108310-5187-2092-8b30-d38f41149351"):                                              wantNonce,
		nonce("00108310518720928B30D38F41149351"):                                                  wantNonce,
		nonce("ABCDEFGHIJKLMNOPQRSTUQ=="):                                                          wantNonce,
		nonce("ABCDEFGHIJKLMNOPQRSTUQ"):                                                            wantNonce,
		nonce("-____________________w"):                                                            with(func(f *Fields) { f.Nonce = Nonce(append([]byte{0xfb}, bytes.Repeat([]byte{0xff}, 15)...)) }),
	} {
		var got Fields
		err := ParseJSONEntry([]byte(line), &got, testDefaults)
		if err != nil || !sameFields(&got, &want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", line, err, got, want)
		}
	}
}

// TestParseJSONEntryRefuses marks with ▶ where the column has to point.
func TestParseJSONEntryRefuses(t *testing.T) {
	valid := `{"kind":"Mint","account":"a","amount":5`
	for _, row := range []struct{ line, member, detail string }{
		{`▶`, "", "ends before"},
		{`▶[]`, "", "is a JSON object"},
		{`▶"x"`, "", "is a JSON object"},
		{`▶nil`, "", "not valid JSON"},
		{`{▶]`, "", "not valid JSON"},
		{valid + `▶`, "", "ends before"},
		{valid + `,▶}`, "", "not valid JSON"},
		{valid + `,"memo":"▶` + "\xff" + `"}`, "", "not UTF-8"},
		{valid + `,"memo" ▶"x"}`, "", "not valid JSON"},
		{valid + `} ▶{}`, "", "something follows"},
		{valid + `}▶x`, "", "something follows"},
		{valid + `,▶"amunt":5}`, "amunt", "unknown member"},
		{valid + `,▶"Kind":"Mint"}`, "Kind", "unknown member"},
		{valid + `,▶"kind":"Mint"}`, "kind", "second time"},
		{valid + `,"memo":▶7}`, "memo", "a string is wanted"},
		{valid + `,"memo":▶null}`, "memo", "a string is wanted"},
		{valid + `,"memo":▶["x"]}`, "memo", "a string is wanted"},
		{valid + `,"ts":▶"7"}`, "ts", "an integer is wanted"},
		{valid + `,"ts":▶7.5}`, "ts", "64 bits"},
		{valid + `,"ts":▶9223372036854775808}`, "ts", "64 bits"},
		{valid + `,"seq":▶0}`, "seq", "from 1"},
		{valid + `,"seq":▶"1"}`, "seq", "an integer is wanted"},
		{valid + `,"time":▶"now"}`, "time", "RFC 3339"},
		{valid + `,"kid":▶"00"}`, "kid", "16 hex digits"},
		{valid + `,"capability":▶"zz"}`, "capability", "32 hex digits"},
		{valid + `,"memo":▶"\ud800"}`, "memo", "surrogate"},
		{valid + `,"memo":▶"\ud800\ud800\udc00"}`, "memo", "surrogate"},
		{valid + `,"memo":▶"\udc00"}`, "memo", "surrogate"},
		{valid + `,"memo":▶"` + strings.Repeat("m", 1025) + `"}`, "memo", "1024"},
		{valid + `,"memo_base64":▶"AP8"}`, "memo_base64", "base64"},
		{valid + `,"memo":"","memo_base64":▶""}`, "memo_base64", "exclude"},
		{valid + `,"nonce":▶"00a8faaa"}`, "nonce", "UUID"},
		{valid + `,"nonce":▶"00a8faaa-c000-7000-8000-00000000000g"}`, "nonce", "UUID"},
		{valid + `,"nonce":▶"00a8faaa+c000-7000-8000-000000000001"}`, "nonce", "UUID"},
		{valid + `,"nonce":▶"ABCDEFGHIJKLMNOPQRSTUR"}`, "nonce", "UUID"},
		{valid + `,"nonce":▶"ABCDEFGHIJKLMNOPQRSTU\n"}`, "nonce", "UUID"},
		{valid + `,"asset":▶"eur"}`, "asset", "A-Z"},
		{valid + `,"asset":▶"EUR\u0000"}`, "asset", "A-Z"},
		{valid + `,"asset":▶"ABCDEFGHI"}`, "asset", "8 bytes"},
		{valid + `,"counterparty":▶"b"}`, "counterparty", "Mint has none"},
		{valid + `,"ref":▶` + nonceJSON + `}`, "ref", "Mint has none"},
		{`{"kind":▶"mint"}`, "kind", "unknown kind"},
		{`{"kind":▶"Epoch"}`, "kind", "unknown kind"},
		{`{"account":▶""}`, "account", "not empty"},
		{`{"account":▶"a b"}`, "account", "only A-Z"},
		{`{"account":▶"` + strings.Repeat("a", 129) + `"}`, "account", "128"},
		{`{"amount":▶"0"}`, "amount", "greater than 0"},
		{`{"amount":▶0}`, "amount", "greater than 0"},
		{`{"amount":▶-1}`, "amount", "decimal digit"},
		{`{"amount":▶1.0}`, "amount", "decimal digit"},
		{`{"amount":▶1e3}`, "amount", "decimal digit"},
		{`{"amount":▶true}`, "amount", "digits or an integer"},
		{`{"amount":▶"340282366920938463463374607431768211456"}`, "amount", "2^128-1"},
		{`▶{"account":"a","amount":5}`, "kind", "missing"},
		{`▶{"kind":"Mint","amount":5}`, "account", "missing"},
		{`▶{"kind":"Mint","account":"a"}`, "amount", "missing"},
		{`▶{"kind":"Transfer","account":"a","amount":5}`, "counterparty", "missing"},
		{`▶{"kind":"Reverse","account":"a","amount":5}`, "ref", "missing"},
	} {
		column := strings.Index(row.line, "▶") + 1
		line := strings.Replace(row.line, "▶", "", 1)
		var f Fields
		err := ParseJSONEntry([]byte(line), &f, testDefaults)
		var refused *JSONError
		if !errors.As(err, &refused) {
			t.Errorf("%s: error is %v", line, err)
			continue
		}
		if refused.Column != column || refused.Member != row.member || !strings.Contains(refused.Detail, row.detail) {
			t.Errorf("%s: column %d, member %q, %s; want column %d, member %q, %s",
				line, refused.Column, refused.Member, refused.Detail, column, row.member, row.detail)
		}
	}
}

func TestParseJSONEntryWithoutDefaults(t *testing.T) {
	var f Fields
	for line, want := range map[string]string{
		`{"kind":"Mint","account":"a","amount":5,"ts":1}`:                      `column 1: member "nonce": missing`,
		`{"kind":"Mint","account":"a","amount":5,"nonce":` + nonceJSON + `}`:   `column 1: member "ts": missing`,
		`{"kind":"Mint","account":"a","amount":5,"nonce":` + nonceJSON + `,7}`: `column 88: not valid JSON: invalid character '7'`,
	} {
		if err := ParseJSONEntry([]byte(line), &f, JSONDefaults{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestAppendJSON(t *testing.T) {
	f := Fields{Kind: KindCapture, Account: "acct_a", Counterparty: "acct_b", Amount: AmountOf(12345), Asset: Asset{'E', 'U', 'R'},
		Nonce: Nonce{1}, Ref: Nonce{2}, Timestamp: 1728794183123, Memo: []byte("say \"hé\"\n\u009b31m \u202e\U000e0001 😀")}
	entry := `"kind":"Capture","account":"acct_a","counterparty":"acct_b","amount":"12345","asset":"EUR",` +
		`"nonce":"01000000-0000-0000-0000-000000000000","ref":"02000000-0000-0000-0000-000000000000","ts":1728794183123,` +
		`"memo":"say \"hé\"\u000a\u009b31m \u202e\udb40\udc01 😀"`
	recorded := Recorded{Seq: 7, TimeMs: 1728794183999, Stamp: Stamp{CapabilityID: [16]byte{3}, KeyID: [8]byte{4}}}
	for want, r := range map[string]Recorded{
		"{" + entry + "}": {},
		`{"seq":7,` + entry + `,"time":"2024-10-13T04:36:23.999Z","capability":"03000000000000000000000000000000","kid":"0400000000000000"}`: recorded,
	} {
		got := AppendJSON(nil, &f, r)
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		var back Fields
		if err := ParseJSONEntry(got, &back, JSONDefaults{}); err != nil || !sameFields(&back, &f) {
			t.Errorf("%s: %v\n%+v", got, err, back)
		}
	}
}

func TestJSONComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawFields(t)
		if rapid.Bool().Draw(t, "text") {
			if memo := rapid.StringN(0, 200, MaxMemoLength).Draw(t, "memo"); memo != "" {
				want.Memo = []byte(memo)
			}
		}
		r := Recorded{Seq: rapid.Uint64().Draw(t, "seq"), TimeMs: rapid.Int64().Draw(t, "time")}
		line := AppendJSON(nil, &want, r)
		var got Fields
		if err := ParseJSONEntry(line, &got, JSONDefaults{}); err != nil || !sameFields(&got, &want) {
			t.Fatalf("%s: %v\n got %+v\nwant %+v", line, err, got, want)
		}
	})
}

// FuzzJSON holds that what is accepted is JSON, is an entry, and prints and parses
// to the same entry.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"kind":"Mint","account":"bank/cards","amount":"1000000000000","nonce":` + nonceJSON + `,"ts":725760000000,"memo":"opening"}`))
	f.Add([]byte(`{"kind":"Mint","account":"a","amount":5,"memo":"\ud83d\ude00\u0000","asset":"X-1"}`))
	f.Add([]byte(`{"kind":"Mint","account":"a","amount":5,"memo_base64":"AP8=","seq":1}`))
	for _, v := range loadGolden(f) {
		if v.What == "entry" && v.Reason == "" {
			fields := Entry(v.bytes(f)).Fields()
			f.Add(AppendJSON(nil, &fields, Recorded{Seq: 1, TimeMs: 1}))
		}
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var fields Fields
		if err := ParseJSONEntry(line, &fields, testDefaults); err != nil {
			var refused *JSONError
			if !errors.As(err, &refused) || refused.Column < 1 || refused.Column > len(line)+1 {
				t.Fatalf("%v for %d bytes", err, len(line))
			}
			return
		}
		if !json.Valid(line) {
			t.Fatal("accepted what is not JSON")
		}
		encoded, fault := AppendEntry(nil, &fields)
		if !fault.OK() {
			t.Fatalf("accepted what is not an entry: %v", fault)
		}
		decoded := Entry(encoded).Fields()
		printed := AppendJSON(nil, &decoded, Recorded{})
		var back Fields
		if err := ParseJSONEntry(printed, &back, JSONDefaults{}); err != nil || !sameFields(&back, &fields) {
			t.Fatalf("%s: %v", printed, err)
		}
		if !utf8.Valid(printed) || !bytes.Equal(printed, AppendJSON(nil, &back, Recorded{})) {
			t.Fatal("printing is not stable")
		}
	})
}
