package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

func zipped(t *testing.T, text string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLinesOfAnInput(t *testing.T) {
	long := strings.Repeat("x", maxLine-1)
	plain := "one\n\ntwo\r\nthree"
	for name, tc := range map[string]struct {
		content []byte
		lines   []string
		err     string // behind the lines; empty: the end
	}{
		"empty":          {nil, nil, ""},
		"one line break": {[]byte("\n"), []string{""}, ""},
		"plain":          {[]byte(plain), []string{"one", "", "two\r", "three"}, ""},
		"gzip":           {zipped(t, plain), []string{"one", "", "two\r", "three"}, ""},
		"empty gzip":     {zipped(t, ""), nil, ""},
		"two gzips":      {append(zipped(t, "a\n"), zipped(t, "b\n")...), []string{"a", "b"}, ""},
		"cut off gzip":   {zipped(t, plain)[:25], []string{"one", "", "two\r"}, "in:4: unexpected EOF"},
		"longest line":   {[]byte(long + "\nx"), []string{long, "x"}, ""},
		"too long":       {[]byte("a\n" + long + "yy\n"), []string{"a"}, "in:2:65536: line is longer than 65536 bytes"},
		"half a magic":   {[]byte{0x1f}, []string{"\x1f"}, ""},
	} {
		in := &input{name: "in"}
		if err := in.decompress(bytes.NewReader(tc.content)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var lines []string
		for {
			line, err := in.next()
			if err != nil {
				if errors.Is(err, io.EOF) != (tc.err == "") || tc.err != "" && err.Error() != tc.err {
					t.Errorf("%s: %v, want %q", name, err, tc.err)
				}
				break
			}
			lines = append(lines, string(line))
		}
		if strings.Join(lines, "|") != strings.Join(tc.lines, "|") {
			t.Errorf("%s: %d lines, want %d", name, len(lines), len(tc.lines))
		}
	}
	in := &input{name: "in"}
	if err := in.decompress(bytes.NewReader([]byte{0x1f, 0x8b, 0, 0})); err == nil || !strings.Contains(err.Error(), "in: read gzip") {
		t.Errorf("broken gzip: %v", err)
	}
}

// TestErrorsNameLineAndColumn is the table of what can be wrong with a line, as
// append says it.
func TestErrorsNameLineAndColumn(t *testing.T) {
	const good = `{"kind":"Mint","account":"a","amount":"1"}`
	for _, tc := range []struct{ line, want string }{
		{`{"kind":"Mint","account":"a","amount":"1","note":"x"}`, `f:2:43: member "note": unknown member`},
		{`{"kind":"Mint","account":"a","amount":"0"}`, `f:2:39: member "amount": `},
		{`{"kind":"Mint","account":"a","amount":"-1"}`, `f:2:39: member "amount": `},
		{`{"kind":"Mint","account":"a","amount":1.5}`, `f:2:39: member "amount": `},
		{`{"kind":"Mint","account":"a","amount":"340282366920938463463374607431768211456"}`, `f:2:39: member "amount": `},
		{`{"kind":"Mint","account":"a","amount":"1","nonce":"xyz"}`, `f:2:51: member "nonce": `},
		{`{"kind":"Mint","account":"a b","amount":"1"}`, `f:2:26: member "account": `},
		{`{"kind":"Mont","account":"a","amount":"1"}`, `f:2:9: member "kind": `},
		{`{"kind":"Mint","account":"a"}`, `f:2:1: member "amount": missing`},
		{`{"kind":"Transfer","account":"a","amount":"1"}`, `f:2:1: member "counterparty": missing`},
		{`{"kind":"Mint","account":"a","amount":"1","amount":"1"}`, `f:2:43: member "amount": `},
		{`{"kind":"Mint","account":"a","amount":"1"} x`, `f:2:44: something follows the object`},
		{`{"kind":"Mint","account":"a","amount":"1"`, `f:2:42: not valid JSON`},
		{`[]`, `f:2:1: an entry is a JSON object`},
		{``, `f:2:1: `},
	} {
		in := &input{name: "f"}
		if err := in.decompress(strings.NewReader(good + "\n" + tc.line + "\n" + good + "\n")); err != nil {
			t.Fatal(err)
		}
		var read chunk
		if err := read.fill(in, 100, 1<<20); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s\n got %v\nwant %s", tc.line, err, tc.want)
		}
		if len(read.lines) != 1 || read.entries.Len() != 1 || read.entries.Entry(0).Kind() != wire.KindMint {
			t.Errorf("%s: lines %v are sent", tc.line, read.lines)
		}
	}
}

func TestRanges(t *testing.T) {
	for s, want := range map[string][2]uint64{"7": {7, 7}, "1..3": {1, 3}, "5..": {5, 1<<64 - 1}, "3..3": {3, 3}} {
		if from, to, err := parseRange(s); err != nil || [2]uint64{from, to} != want {
			t.Errorf("%s: %d..%d, %v", s, from, to, err)
		}
	}
	for _, s := range []string{"", "..", "..4", "0", "0..3", "4..2", "1...3", "-1", "a", "1..b", "18446744073709551616"} {
		var usage usageError
		if _, _, err := parseRange(s); !errors.As(err, &usage) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestSidecarIsFoundByTheSameRule tells where socket and token come from.
func TestSidecarIsFoundByTheSameRule(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		a             app
		env           string
		socket, token string
	}{
		{app{}, "HOME=/u", "/u/.local/state/ron-ledger/ledger.sock", "/u/.local/state/ron-ledger/token"},
		{app{}, "HOME=/u XDG_STATE_HOME=/s", "/s/ron-ledger/ledger.sock", "/s/ron-ledger/token"},
		{app{}, "HOME=/u XDG_STATE_HOME=relative", "/u/.local/state/ron-ledger/ledger.sock", "/u/.local/state/ron-ledger/token"},
		{app{}, "HOME=/u RON_LEDGER_HOME=/h", "/h/ledger.sock", "/h/token"},
		{app{home: "/f"}, "HOME=/u RON_LEDGER_HOME=/h", "/f/ledger.sock", "/f/token"},
		{app{}, "HOME=/u RON_LEDGER_SOCKET=/x", "/x", "/u/.local/state/ron-ledger/token"},
		{app{socket: "/y"}, "RON_LEDGER_SOCKET=/x", "/y", ""},
		{app{socket: "/y", tokenFile: file}, "HOME=/u", "/y", file},
	} {
		tc.a.env = func(name string) string {
			for pair := range strings.FieldsSeq(tc.env) {
				if value, ok := strings.CutPrefix(pair, name+"="); ok {
					return value
				}
			}
			return ""
		}
		if o, err := tc.a.options(); err != nil || o.Socket != tc.socket || o.TokenFile != tc.token {
			t.Errorf("%+v %s: %s, %s, %v", tc.a.home, tc.env, o.Socket, o.TokenFile, err)
		}
	}
	nowhere := app{env: func(string) string { return "" }}
	if _, err := nowhere.options(); err == nil {
		t.Error("found a home where there is none")
	}
}
