package sidecar

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

// authorisedSession is a session of o with a token of its own keyring.
func authorisedSession(t testing.TB, o *outer) *session {
	t.Helper()
	ss := &session{sidecar: o.Sidecar, peer: peercred.Cred{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}}
	judged, fault := ss.verify(o.identity.OwnToken.Bytes())
	if !fault.OK() {
		t.Fatal(fault)
	}
	ss.grant.Store(judged)
	return ss
}

// TestAuthorisedAllocatesNothing holds the cost of asking before each request, while
// the keys stay as they are.
func TestAuthorisedAllocatesNothing(t *testing.T) {
	o := newOuter(t, nil)
	ss, now := authorisedSession(t, o), time.Now()
	allocations := testing.AllocsPerRun(1000, func() {
		if _, fault := ss.authorised(capability.OpAppend, now); !fault.OK() {
			t.Error(fault)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkAuthorised(b *testing.B) {
	ss, now := authorisedSession(b, newOuter(b, nil)), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		ss.authorised(capability.OpAppend, now)
	}
}

// TestTokenIsJudgedAgainOnce swaps the keys: the token is verified anew, and then the
// pointer matches again.
func TestTokenIsJudgedAgainOnce(t *testing.T) {
	o := newOuter(t, nil)
	ss := authorisedSession(t, o)
	before := ss.grant.Load()
	o.keys.current.Store(&tokenKeys{ring: o.identity.Keyring, revoked: new(capability.Revocations)})
	if _, fault := ss.authorised(capability.OpRead, time.Now()); !fault.OK() {
		t.Error(fault)
	}
	if after := ss.grant.Load(); after == before || after.keys != o.keys.current.Load() {
		t.Error("the token was not judged by the keys in force")
	}
	o.keys.current.Store(&tokenKeys{ring: new(capability.Keyring)})
	if _, fault := ss.authorised(capability.OpRead, time.Now()); fault.Reason != wire.ReasonCapInvalid {
		t.Errorf("a token whose key is gone: %v", fault)
	}
}

// TestTokenKeyFiles holds what stays in force when a file cannot be read, each file
// for itself.
func TestTokenKeyFiles(t *testing.T) {
	dir := t.TempDir()
	ringFile, revokedFile := filepath.Join(dir, "ring"), filepath.Join(dir, "revoked")
	ring, err := newKeyring()
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, ringFile, string(ring.Marshal()))
	loaded, err := LoadKeyring(ringFile)
	if err != nil {
		t.Fatal(err)
	}
	f := newTokenKeyFiles(&home{dir: dir}, &Config{Keys: KeysConfig{Keyring: ringFile, Revocations: revokedFile}}, &Identity{Keyring: loaded}, zap.NewNop())
	f.revoked.optional = true
	const kid = "kid 0011223344556677\n"
	revokes := func() {
		overwrite(t, revokedFile, kid+"capability 00112233445566778899aabbccddeeff\n")
	}
	for _, step := range []struct {
		name          string
		change        func()
		revoked, keys int
		reloads       uint64
		stale         bool
	}{
		{"no list yet", func() {}, 0, 1, 0, false},
		{"a list", func() { overwrite(t, revokedFile, kid) }, 1, 1, 1, false},
		{"the same list", func() { overwrite(t, revokedFile, kid) }, 1, 1, 1, false},
		{"a comment", func() { overwrite(t, revokedFile, "# why\n"+kid) }, 1, 1, 1, false},
		{"a torn line", func() { overwrite(t, revokedFile, "kid 00") }, 1, 1, 1, true},
		{"a list that others can write", func() { revokes(); chmod(t, revokedFile, 0o666) }, 1, 1, 1, true},
		{"put right", func() { chmod(t, revokedFile, 0o600) }, 2, 1, 2, false},
		{"gone", func() { _ = os.Remove(revokedFile) }, 2, 1, 2, true},
		{"a keyring that others can read does not lift the list", func() {
			chmod(t, ringFile, 0o644)
			overwrite(t, revokedFile, kid)
			chmod(t, revokedFile, 0o600)
		}, 1, 1, 3, true},
		{"a keyring of two", func() {
			if err := ring.Add(capability.GenerateKey(5)); err != nil {
				t.Fatal(err)
			}
			chmod(t, ringFile, 0o600)
			overwrite(t, ringFile, string(ring.Marshal()))
		}, 1, 2, 4, false},
		{"a keyring cut off", func() { overwrite(t, ringFile, string(ring.Marshal())[:200]) }, 1, 2, 4, true},
		{"an empty keyring file", func() { overwrite(t, ringFile, "") }, 1, 2, 4, true},
	} {
		step.change()
		f.look()
		now := f.current.Load()
		if now.revoked.Len() != step.revoked || len(now.ring.Keys()) != step.keys || f.reloads.Load() != step.reloads || f.stale.Load() != step.stale {
			t.Errorf("%s: %d revoked, %d keys, %d reloads, stale %v; want %+v", step.name, now.revoked.Len(), len(now.ring.Keys()),
				f.reloads.Load(), f.stale.Load(), step)
		}
	}
}
