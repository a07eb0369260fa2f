package sidecartest

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

// hasty is how long a handshake or a frame may take in tests of just that. Elsewhere a busy machine has a minute for it.
const hasty = sidecar.Duration(200 * time.Millisecond)

// startSidecar starts a macronode in this process and returns it and its token.
func startSidecar(t *testing.T, change func(*sidecar.Config)) (*sidecar.Sidecar, []byte) {
	t.Helper()
	config := sidecar.Defaults(sidecar.Macronode)
	config.Home, config.HTTPS.Addr, config.Log.Level = filepath.Join(ShortDir(t), "home"), "127.0.0.1:0", "error"
	config.UDS.HandshakeTimeout, config.UDS.FrameTimeout = sidecar.Duration(time.Minute), sidecar.Duration(time.Minute)
	if change != nil {
		change(config)
	}
	s, err := sidecar.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, tokenIn(t, config.Home)
}

func tokenIn(t *testing.T, home string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(home, "token"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := capability.ParseToken(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return token.Bytes()
}

func entry(t *testing.T, f wire.Fields) []byte {
	t.Helper()
	b, fault := wire.AppendEntry(nil, &f)
	if !fault.OK() {
		t.Fatal(fault)
	}
	return b
}

func mintOf(amount wire.Amount, nonce byte) wire.Fields {
	return wire.Fields{Kind: wire.KindMint, Account: "a", Amount: amount, Nonce: wire.Nonce{15: nonce}}
}

// narrowed returns the token with one more caveat.
func narrowed(t *testing.T, token []byte, words string) []byte {
	t.Helper()
	caveat, err := capability.ParseCaveat(words)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := capability.TokenFromBytes(token)
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := parsed.Narrow(caveat)
	if err != nil {
		t.Fatal(err)
	}
	return narrow.Bytes()
}

// TestHostileHandshake holds what a connection gets that does not say a proper
// HELLO: the reason, and its end.
func TestHostileHandshake(t *testing.T) {
	patient, token := startSidecar(t, nil)
	impatient, _ := startSidecar(t, func(c *sidecar.Config) { c.UDS.HandshakeTimeout = hasty })
	valid := HelloFrame(token)
	for _, c := range []struct {
		name   string
		send   []byte
		reason wire.Reason
		detail string
	}{
		{"nothing", nil, wire.ReasonTimeout, "handshake_timeout"},
		{"half a HELLO", valid[:20], wire.ReasonTimeout, "handshake_timeout"},
		{"APPEND first", AppendFrame(1, 0, 1, entry(t, mintOf(wire.AmountOf(1), 1))), wire.ReasonUnauth, "HELLO"},
		{"wrong magic", Frame(wire.FrameHello, 1, []byte("HTTP/1.1 GET / and so on")), wire.ReasonMalformed, "RLGR"},
		{"a version of the future", Frame(wire.FrameHello, 1, (&wire.Hello{MinVersion: 2, MaxVersion: 9, Token: token}).Append(nil)), wire.ReasonMalformed, "version 1"},
		{"a frame that is too long", wire.AppendFrameHeader(nil, wire.FrameHeader{Length: 1<<20 + 1, Type: wire.FrameHello}), wire.ReasonTooLarge, "longer than the limit"},
		{"a length of 4 GiB", wire.AppendFrameHeader(nil, wire.FrameHeader{Length: 1<<32 - 1, Type: wire.FrameHello}), wire.ReasonTooLarge, "longer than the limit"},
		{"a reserved byte", append([]byte{0, 0, 0, 0, 1, 0, 7, 0}, make([]byte, 8)...), wire.ReasonMalformed, "reserved"},
		{"a token that is none", HelloFrame([]byte("no macaroon")), wire.ReasonCapInvalid, ""},
		{"a token with one bit changed", HelloFrame(flipped(token, len(token)-3)), wire.ReasonCapInvalid, ""},
		{"a token that has expired", HelloFrame(narrowed(t, token, "expires = 2001-01-01T00:00:00Z")), wire.ReasonCapInvalid, "has expired"},
		{"a token for later", HelloFrame(narrowed(t, token, "not-before = 2999-01-01T00:00:00Z")), wire.ReasonCapInvalid, "not valid yet"},
		{"a token for another uid", HelloFrame(narrowed(t, token, "uid = 4242")), wire.ReasonCapInvalid, "uid"},
		{"a token for another log", HelloFrame(narrowed(t, token, "log = 00000000000000000000000000000001")), wire.ReasonCapInvalid, "log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := patient
			if c.reason == wire.ReasonTimeout {
				s = impatient
			}
			conn := DialRaw(t, s.Socket())
			conn.Send(c.send)
			m := conn.ReceiveError()
			if m.Reason != c.reason || !strings.Contains(m.Detail, c.detail) {
				t.Errorf("refused with %s: %q, want %s: …%s…", m.Reason, m.Detail, c.reason, c.detail)
			}
			if !conn.Closed() {
				t.Error("the connection stays open")
			}
		})
	}
}

func flipped(b []byte, at int) []byte {
	b = append([]byte(nil), b...)
	b[at] ^= 0x10
	return b
}

// TestHostileAppend holds what an APPEND gets that is not as it should be, and that
// the connection goes on: nothing sent after it is lost.
func TestHostileAppend(t *testing.T) {
	s, token := startSidecar(t, nil)
	good := entry(t, mintOf(wire.AmountOf(1), 1))
	patched := func(at int, b ...byte) []byte {
		bad := append([]byte(nil), good...)
		copy(bad[at:], b)
		return bad
	}
	var serial byte
	for _, c := range []struct {
		name   string
		send   []byte
		whole  wire.Reason // the request as a whole is refused
		entry  wire.Reason // or its entry is, at that offset
		offset uint32
	}{
		{"an entry size that lies low", AppendFrame(2, 0, 1, LyingEntry(good, 8)), wire.ReasonMalformed, 0, 24},
		{"an entry size beyond the payload", AppendFrame(2, 0, 1, LyingEntry(good, 160)), wire.ReasonMalformed, 0, 24},
		{"an entry size beyond any entry", AppendFrame(2, 0, 1, LyingEntry(good, 4096)), wire.ReasonTooLarge, 0, 24},
		{"a count that lies", AppendFrame(2, 0, 2, good), wire.ReasonMalformed, 0, 4},
		{"no entries", AppendFrame(2, 0, 0, nil), wire.ReasonMalformed, 0, 4},
		{"an unknown flag", AppendFrame(2, 1<<9, 1, good), wire.ReasonMalformed, 0, 0},
		{"an unknown kind", AppendFrame(2, 0, 1, patched(3, 77)), 0, wire.ReasonUnknownKind, 3},
		{"the kind of the server", AppendFrame(2, 0, 1, patched(3, 240)), 0, wire.ReasonUnknownKind, 3},
		{"version 2", AppendFrame(2, 0, 1, patched(2, 2)), 0, wire.ReasonMalformed, 2},
		{"amount 0", AppendFrame(2, 0, 1, patched(32, 0)), 0, wire.ReasonMalformed, 32},
		{"a byte outside the alphabet", AppendFrame(2, 0, 1, patched(72, '*')), 0, wire.ReasonMalformed, 72},
		{"padding that is not zero", AppendFrame(2, 0, 1, patched(79, 1)), 0, wire.ReasonMalformed, 79},
		{"an asset in small letters", AppendFrame(2, 0, 1, patched(64, 'e', 'u', 'r')), 0, wire.ReasonMalformed, 64},
		{"a supply beyond 128 bits", AppendFrame(2, 0, 1, entry(t, mintOf(wire.MaxAmount, 99))), 0, wire.ReasonOverflow, 0},
		{"a frame of no known type", Frame(0x55, 2, nil), wire.ReasonMalformed, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := DialRaw(t, s.Socket())
			conn.Send(HelloFrame(token))
			if h, _ := conn.Receive(); h.Type != wire.FrameWelcome {
				t.Fatalf("HELLO was answered with %s", h.Type)
			}
			conn.Send(AppendFrame(9, 0, 1, good)) // so that the supply is not zero
			conn.Receive()
			conn.Send(c.send)
			if c.whole != 0 {
				if m := conn.ReceiveError(); m.Reason != c.whole || m.Offset != c.offset {
					t.Errorf("refused with %s at %d: %q, want %s at %d", m.Reason, m.Offset, m.Detail, c.whole, c.offset)
				}
			} else {
				checkRefusedEntry(t, conn, c.entry, c.offset)
			}
			serial++
			next := mintOf(wire.AmountOf(1), 100+serial)
			conn.Send(AppendFrame(3, 0, 1, entry(t, next)))
			var answer wire.AppendedView
			if h, payload := conn.Receive(); h.Type != wire.FrameAppended || h.RequestID != 3 || !answer.Decode(payload).OK() || answer.Accepted != 1 {
				t.Errorf("the next append was answered with %s %+v", h.Type, answer)
			}
		})
	}
}

func checkRefusedEntry(t *testing.T, conn *Raw, reason wire.Reason, offset uint32) {
	t.Helper()
	var answer wire.AppendedView
	h, payload := conn.Receive()
	if h.Type != wire.FrameAppended || !answer.Decode(payload).OK() {
		t.Fatalf("answered with %s", h.Type)
	}
	for result := range answer.Results() {
		if result.Outcome != wire.OutcomeRejected || result.Reason != reason || result.Offset != offset {
			t.Errorf("result %+v, want rejected for %s at %d", result, reason, offset)
		}
	}
	if answer.ResultCount != 1 || answer.Accepted != 0 {
		t.Errorf("%d results, %d accepted, want one rejected", answer.ResultCount, answer.Accepted)
	}
}

// TestTokenIsHeldAgainstEveryEntry narrows a token and checks what it still allows.
func TestTokenIsHeldAgainstEveryEntry(t *testing.T) {
	s, token := startSidecar(t, nil)
	for _, c := range []struct {
		caveat string
		denied bool
	}{
		{"kind = Transfer", true}, {"kind = Mint", false}, {"account = b*", true}, {"account = a", false},
		{"asset = EUR", true}, {"amount <= 4", true}, {"amount <= 5", false}, {"op = read", true},
	} {
		t.Run(c.caveat, func(t *testing.T) {
			conn := DialRaw(t, s.Socket())
			conn.Send(HelloFrame(narrowed(t, token, c.caveat)))
			conn.Receive()
			f := mintOf(wire.AmountOf(5), 0)
			binary.BigEndian.PutUint64(f.Nonce[:], uint64(time.Now().UnixNano()))
			conn.Send(AppendFrame(2, 0, 1, entry(t, f)))
			h, payload := conn.Receive()
			var answer wire.AppendedView
			switch {
			case c.denied && h.Type == wire.FrameError:
				var m wire.ErrorMessage
				if fault := m.Decode(payload); !fault.OK() || m.Reason != wire.ReasonPolicyDenied {
					t.Errorf("refused with %s", m.Reason)
				}
			case !answer.Decode(payload).OK() || (answer.Accepted == 1) == c.denied:
				t.Errorf("answered with %s %+v", h.Type, answer)
			}
		})
	}
}

// TestFrameThatIsNotCompleted drips a frame in: its deadline begins with its first
// byte and further bytes do not move it.
func TestFrameThatIsNotCompleted(t *testing.T) {
	s, token := startSidecar(t, func(c *sidecar.Config) { c.UDS.FrameTimeout = hasty })
	conn := greet(t, s, token)
	frame := AppendFrame(2, 0, 1, entry(t, mintOf(wire.AmountOf(5), 1)))
	for _, b := range frame[:8] {
		if _, err := conn.Write([]byte{b}); err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if m := conn.ReceiveError(); m.Reason != wire.ReasonTimeout || !strings.Contains(m.Detail, "frame_timeout") {
		t.Errorf("refused with %s: %q", m.Reason, m.Detail)
	}
	// A byte of ours may have come when nobody read any more: the end is then a reset.
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection goes on: %d bytes, %v", n, err)
	}
}
