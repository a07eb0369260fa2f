package sidecartest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

// reloadWithin is how long a change of the keys may take to be in force before a test gives up.
const reloadWithin = time.Minute

// replace puts a private file in its place as an operator does: whole, by a rename.
func replace(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".next", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		t.Fatal(err)
	}
}

// keyringOf reads the keyring of a home.
func keyringOf(t *testing.T, home string) *capability.Keyring {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(home, "keyring"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := capability.ParseKeyring(text)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// greet says HELLO with a token and takes the WELCOME.
func greet(t *testing.T, s *sidecar.Sidecar, token []byte) *Raw {
	t.Helper()
	conn := DialRaw(t, s.Socket())
	conn.Send(HelloFrame(token))
	if h, _ := conn.Receive(); h.Type != wire.FrameWelcome {
		t.Fatalf("HELLO was answered with %s", h.Type)
	}
	return conn
}

// askRoots asks for roots and returns why that was refused; 0 when it was not.
func askRoots(conn *Raw) (wire.Reason, string) {
	conn.Send(Frame(wire.FrameRoots, 5, (&wire.Roots{Limit: 1}).Append(nil)))
	h, payload := conn.Receive()
	var m wire.ErrorMessage
	if h.Type != wire.FrameError || !m.Decode(payload).OK() {
		return 0, ""
	}
	return m.Reason, m.Detail
}

// awaitReason asks until the answer is that reason with that detail.
func awaitReason(t *testing.T, conn *Raw, want wire.Reason, detail string) {
	t.Helper()
	for deadline := time.Now().Add(reloadWithin); ; time.Sleep(5 * time.Millisecond) {
		reason, why := askRoots(conn)
		if reason == want && strings.Contains(why, detail) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still answered with %s: %q, want %s: …%s…", reason, why, want, detail)
		}
	}
}

// TestKeysAreReloaded changes the keyring and the revocation list under live
// connections: none is dropped, and each is judged anew at its next request.
func TestKeysAreReloaded(t *testing.T) {
	var home string
	s, token := startSidecar(t, func(c *sidecar.Config) { home = c.Home })
	revocations, keyring := filepath.Join(home, "revocations"), filepath.Join(home, "keyring")
	info := inspected(t, token)
	ring := keyringOf(t, home)
	first, err := ring.Minting()
	if err != nil {
		t.Fatal(err)
	}
	other := mintUnder(t, first, info)
	live, neighbour := greet(t, s, token), greet(t, s, other)

	replace(t, revocations, []byte("capability "+info.CapabilityID.String()+"\n"))
	s.Reload()
	awaitReason(t, live, wire.ReasonCapInvalid, "revoked")
	live.Send(AppendFrame(6, 0, 1, entry(t, mintOf(wire.AmountOf(1), 1))))
	if m := live.ReceiveError(); m.Reason != wire.ReasonCapInvalid {
		t.Errorf("an append with a revoked token is refused with %s", m.Reason)
	}
	awaitReason(t, neighbour, 0, "")

	replace(t, revocations, []byte("capabilty of a typing mistake\n"))
	s.Reload()
	time.Sleep(50 * time.Millisecond)
	awaitReason(t, live, wire.ReasonCapInvalid, "revoked")
	if err := os.Remove(revocations); err != nil {
		t.Fatal(err)
	}
	s.Reload()
	time.Sleep(50 * time.Millisecond)
	awaitReason(t, live, wire.ReasonCapInvalid, "revoked")

	replace(t, revocations, nil) // and without SIGHUP
	awaitReason(t, live, 0, "")

	second := capability.GenerateKey(first.Created + 1)
	if err := ring.Add(second); err != nil {
		t.Fatal(err)
	}
	if err := ring.Retire(first.KID); err != nil {
		t.Fatal(err)
	}
	replace(t, keyring, ring.Marshal())
	s.Reload()
	rotated := mintUnder(t, second, info)
	awaitGreeting(t, s, rotated)
	awaitReason(t, live, 0, "")

	if err := ring.Remove(first.KID); err != nil {
		t.Fatal(err)
	}
	replace(t, keyring, ring.Marshal())
	s.Reload()
	awaitReason(t, live, wire.ReasonCapInvalid, "not in the keyring")
	awaitReason(t, neighbour, wire.ReasonCapInvalid, "not in the keyring")
	live.Send(Frame(wire.FrameAuth, 7, (&wire.Auth{Token: rotated}).Append(nil)))
	if h, _ := live.Receive(); h.Type != wire.FrameOK {
		t.Errorf("AUTH with a token of the new key is answered with %s", h.Type)
	}
	awaitReason(t, live, 0, "")
}

// TestTokenExpiresOnALiveConnection refuses the next request after the time, and none before. A machine that is too busy
// to ask before it gets a token that lasts longer.
func TestTokenExpiresOnALiveConnection(t *testing.T) {
	s, token := startSidecar(t, nil)
	for left := 1500 * time.Millisecond; ; left *= 2 {
		end := time.Now().Add(left).Truncate(time.Second)
		conn := DialRaw(t, s.Socket())
		conn.Send(HelloFrame(narrowed(t, token, "expires = "+end.UTC().Format(time.RFC3339))))
		reason, detail := wire.Reason(0), ""
		h, payload := conn.Receive()
		if h.Type == wire.FrameWelcome {
			reason, detail = askRoots(conn)
		} else if m := new(wire.ErrorMessage); m.Decode(payload).OK() {
			reason, detail = m.Reason, m.Detail
		}
		switch inTime := time.Now().Before(end); {
		case h.Type == wire.FrameWelcome && reason == 0:
			awaitReason(t, conn, wire.ReasonCapInvalid, "has expired")
			return
		case inTime || left > time.Minute:
			t.Fatalf("before its time the token is refused with %s: %q", reason, detail)
		}
	}
}

// TestWatchEndsWithItsToken holds that nothing is told to a watcher whose token was
// revoked.
func TestWatchEndsWithItsToken(t *testing.T) {
	var home string
	s, token := startSidecar(t, func(c *sidecar.Config) { home = c.Home })
	first, err := keyringOf(t, home).Minting()
	if err != nil {
		t.Fatal(err)
	}
	watcher, writer := greet(t, s, token), greet(t, s, mintUnder(t, first, inspected(t, token)))
	watcher.Send(Frame(wire.FrameWatch, 4, (&wire.Watch{}).Append(nil)))
	replace(t, filepath.Join(home, "revocations"), []byte("capability "+inspected(t, token).CapabilityID.String()+"\n"))
	s.Reload()
	awaitReason(t, watcher, wire.ReasonCapInvalid, "revoked")
	writer.Send(AppendFrame(2, 0, 1, entry(t, mintOf(wire.AmountOf(1), 1))))
	if m := watcher.ReceiveError(); m.Reason != wire.ReasonCapInvalid {
		t.Errorf("the watch ends with %s: %q", m.Reason, m.Detail)
	}
}

func inspected(t *testing.T, token []byte) capability.Info {
	t.Helper()
	parsed, err := capability.TokenFromBytes(token)
	if err != nil {
		t.Fatal(err)
	}
	info, err := capability.Inspect(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// mintUnder mints a token with the caveats of another.
func mintUnder(t *testing.T, key capability.Key, like capability.Info) []byte {
	t.Helper()
	token, err := capability.Mint(key, like.Caveats...)
	if err != nil {
		t.Fatal(err)
	}
	return token.Bytes()
}

func awaitGreeting(t *testing.T, s *sidecar.Sidecar, token []byte) {
	t.Helper()
	for deadline := time.Now().Add(reloadWithin); ; time.Sleep(5 * time.Millisecond) {
		conn := DialRaw(t, s.Socket())
		conn.Send(HelloFrame(token))
		h, payload := conn.Receive()
		if h.Type == wire.FrameWelcome {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a token of the new key is refused: %q", bytes.ToValidUTF8(payload, nil))
		}
	}
}
