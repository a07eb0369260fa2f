package sidecartest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

// amountCaveat is a caveat of amount as it lies in a macaroon: field, length, then type,
// length, value.
func amountCaveat(amount byte) []byte {
	return append([]byte{2, 19, 6, 16, 0, amount}, make([]byte, 15)...)
}

// TestHostileToken holds what a token gets that was made, changed or carried by somebody
// else, both as the first one of a connection and in AUTH on a live one, which keeps what
// it had.
func TestHostileToken(t *testing.T) {
	var home string
	s, own := startSidecar(t, func(c *sidecar.Config) { home = c.Home })
	info := inspected(t, own)
	two := narrowed(t, narrowed(t, own, "amount <= 5"), "amount <= 6")
	five, six := amountCaveat(5), amountCaveat(6)
	if bytes.Count(two, five) != 1 || bytes.Count(two, six) != 1 {
		t.Fatal("the caveats are not where they are looked for")
	}
	swapped := bytes.Replace(bytes.Replace(bytes.Replace(two, five, amountCaveat(7), 1), six, five, 1), amountCaveat(7), six, 1)
	widened := bytes.Replace(two, five, amountCaveat(200), 1)
	without := bytes.Replace(two, append(five, 0), nil, 1)
	mac := len(own) - macBytes
	many := own
	for len(inspected(t, many).Caveats) < 32 {
		many = narrowed(t, many, "op = append,read")
	}
	foreign := mintUnder(t, capability.GenerateKey(1), info)
	sameKID := capability.GenerateKey(1)
	sameKID.KID = info.KID
	const invalid = wire.ReasonCapInvalid
	for _, c := range []struct {
		name   string
		token  []byte
		reason wire.Reason
		detail string
	}{
		{"cut off by a byte", own[:len(own)-1], invalid, "not a whole macaroon"},
		{"half of one", own[:len(own)/2], invalid, "not a whole macaroon"},
		{"its first byte alone", own[:1], invalid, "not a whole macaroon"},
		{"a byte behind it", append(bytes.Clone(own), 0), invalid, ""},
		{"itself behind it", append(bytes.Clone(own), own...), invalid, ""},
		{"another version of macaroons", append([]byte{1}, own[1:]...), invalid, "version 2"},
		{"JSON", []byte(`{"v":2,"i":"x","s64":""}`), invalid, "binary form"},
		{"its text instead of its bytes", []byte("rl1_AgEb"), invalid, "binary form"},
		{"a MAC of zeros", append(bytes.Clone(own[:mac]), make([]byte, macBytes)...), invalid, "MAC does not match"},
		{"the first bit of the MAC changed", flipped(own, mac), invalid, "MAC does not match"},
		{"the last bit of the MAC changed", flipped(own, len(own)-1), invalid, "MAC does not match"},
		{"two caveats swapped", swapped, invalid, "MAC does not match"},
		{"a caveat widened", widened, invalid, "MAC does not match"},
		{"a caveat taken out", without, invalid, "MAC does not match"},
		{"the MAC of the token before narrowing", append(bytes.Clone(two[:len(two)-macBytes]), own[mac:]...), invalid, "MAC does not match"},
		{"a caveat of an unknown type", bytes.Replace(two, five[2:], append([]byte{99}, five[3:]...), 1), invalid, "MAC does not match"},
		{"an appended caveat of the wrong length", bytes.Replace(two, five[2:], append([]byte{6, 15, 0}, five[5:]...), 1), invalid, "MAC does not match"},
		{"a key that the keyring does not have", foreign, invalid, "not in the keyring"},
		{"another key under the same KID", mintUnder(t, sameKID, info), invalid, "MAC does not match"},
		{"another log", mintUnder(t, mintingKey(t, home), otherLog(info)), invalid, "log"},
		{"two logs", narrowed(t, own, "log = 00000000000000000000000000000001"), invalid, "log"},
		{"another uid", narrowed(t, own, "uid = 4242"), invalid, "uid"},
		{"the overflow uid", narrowed(t, own, "uid = 65534"), invalid, "uid"},
		{"another gid", narrowed(t, own, "gid = 4242"), invalid, "group"},
		{"one gid and another", narrowed(t, narrowed(t, own, fmt.Sprintf("gid = %d", os.Getgid())), "gid = 4242"), invalid, "group"},
		{"expired", narrowed(t, own, "expires = 1970-01-01T00:00:01Z"), invalid, "has expired"},
		{"expired beside a later end", narrowed(t, narrowed(t, own, "expires = 2001-01-01T00:00:00Z"), "expires = 2999-01-01T00:00:00Z"), invalid, "has expired"},
		{"not valid yet", narrowed(t, own, "not-before = 2999-01-01T00:00:00Z"), invalid, "not valid yet"},
		{"33 caveats", appendedCaveat(many), invalid, "caveats"},
		{"random bytes", bytes.Repeat([]byte{2, 1, 27, 9}, 200), invalid, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := DialRaw(t, s.Socket())
			conn.Send(HelloFrame(c.token))
			if m := conn.ReceiveError(); m.Reason != c.reason || !strings.Contains(m.Detail, c.detail) {
				t.Errorf("HELLO: refused with %s: %q, want %s: …%s…", m.Reason, m.Detail, c.reason, c.detail)
			}
			if !conn.Closed() {
				t.Error("HELLO: the connection stays open")
			}
			live := greet(t, s, own)
			live.Send(Frame(wire.FrameAuth, 2, (&wire.Auth{Token: c.token}).Append(nil)))
			if m := live.ReceiveError(); m.Reason != c.reason || !strings.Contains(m.Detail, c.detail) {
				t.Errorf("AUTH: refused with %s: %q, want %s: …%s…", m.Reason, m.Detail, c.reason, c.detail)
			}
			if reason, detail := askRoots(live); reason != 0 {
				t.Errorf("AUTH: the token before is refused too, with %s: %q", reason, detail)
			}
		})
	}
}

// appendedCaveat puts one more caveat into a token, by hand.
func appendedCaveat(token []byte) []byte {
	end := len(token) - macBytes - 3 // the end of the caveats, the field and the length of the MAC
	return append(append(bytes.Clone(token[:end]), append(amountCaveat(5), 0)...), token[end:]...)
}

func mintingKey(t *testing.T, home string) capability.Key {
	t.Helper()
	key, err := keyringOf(t, home).Minting()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// otherLog replaces the log of a token.
func otherLog(info capability.Info) capability.Info {
	caveats := []capability.Caveat{capability.CaveatLog([16]byte{1})}
	for _, c := range info.Caveats {
		if c.Type() != capability.TypeLog {
			caveats = append(caveats, c)
		}
	}
	info.Caveats = caveats
	return info
}

// TestParserBombs holds frames whose lengths promise more than they hold.
func TestParserBombs(t *testing.T) {
	s, token := startSidecar(t, nil)
	compressed := func(raw uint32, payload ...byte) []byte {
		body := append(binary.LittleEndian.AppendUint32(nil, raw), payload...)
		frame := wire.AppendFrameHeader(nil, wire.FrameHeader{Type: wire.FrameAppend, Flags: wire.FlagCompressed, RequestID: 2})
		frame = append(frame, body...)
		wire.FinishFrame(frame, 0)
		return frame
	}
	tokenLength := Frame(wire.FrameAuth, 2, []byte{0xff, 0xff, 0, 0})
	for _, c := range []struct {
		name   string
		send   []byte
		reason wire.Reason
		closes bool
	}{
		{"4 GiB raw", compressed(1<<32-1, 0), wire.ReasonTooLarge, true},
		{"a frame and a byte raw", compressed(1<<20+1, make([]byte, 200<<10)...), wire.ReasonTooLarge, true},
		{"eleven times its length", compressed(1100, make([]byte, 96)...), wire.ReasonTooLarge, true},
		{"no raw length", Frame(wire.FrameAppend, 2, nil), wire.ReasonMalformed, false},
		{"not S2", compressed(64, bytes.Repeat([]byte{0xff}, 64)...), wire.ReasonMalformed, true},
		{"a token length beyond the frame", tokenLength, wire.ReasonMalformed, false},
		{"4 billion entries", AppendFrame(2, 0, 1<<32-1, nil), wire.ReasonMalformed, false},
		{"more entries than limits.max_entries_per_request", AppendFrame(2, 0, 8193, make([]byte, 8193*80)), wire.ReasonTooLarge, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := greet(t, s, token)
			conn.Send(c.send)
			if m := conn.ReceiveError(); m.Reason != c.reason {
				t.Errorf("refused with %s: %q, want %s", m.Reason, m.Detail, c.reason)
			}
			if c.closes {
				if !conn.Closed() {
					t.Error("the connection stays open")
				}
			} else if reason, detail := askRoots(conn); reason != 0 {
				t.Errorf("the next request is refused with %s: %q", reason, detail)
			}
		})
	}
}

// TestTooManyConnections opens one more than a uid may have.
func TestTooManyConnections(t *testing.T) {
	s, token := startSidecar(t, func(c *sidecar.Config) { c.UDS.MaxConnectionsPerUID = 40 })
	for range 40 {
		greet(t, s, token)
	}
	conn := DialRaw(t, s.Socket())
	if m := conn.ReceiveError(); m.Reason != wire.ReasonBusy || !strings.Contains(m.Detail, "uds.max_connections_per_uid") {
		t.Errorf("refused with %s: %q", m.Reason, m.Detail)
	}
}
