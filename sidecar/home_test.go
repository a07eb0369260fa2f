package sidecar

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

var testLogID = [16]byte{1, 2, 3}

func macronodeConfig(t *testing.T) *Config {
	c := Defaults(Macronode)
	c.Home = filepath.Join(t.TempDir(), "deep", "home")
	return c
}

// startHome opens a home as a start does, with the store's meta file in the middle.
func startHome(t *testing.T, c *Config, logID [16]byte) (*home, *Identity, error) {
	t.Helper()
	h, err := openHome(c)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { _ = h.close() }) // some tests close it themselves
	if h.durable {
		if err := os.WriteFile(h.path(storeMetaFile), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id, err := h.identity(c, logID, merkle.Blake3)
	return h, id, err
}

func mustStartHome(t *testing.T, c *Config) (*home, *Identity) {
	t.Helper()
	h, id, err := startHome(t, c, testLogID)
	if err != nil {
		t.Fatal(err)
	}
	return h, id
}

func TestFirstStartMakesTheHome(t *testing.T) {
	c := macronodeConfig(t)
	h, id := mustStartHome(t, c)
	for name, mode := range map[string]fs.FileMode{
		".": 0o700, "lock": 0o600, "keyring": 0o600, "node.key": 0o600, "node.vkey": 0o644, "token": 0o600, "tls.crt": 0o644, "tls.key": 0o600,
	} {
		info, err := os.Stat(h.path(name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %04o, want %04o", name, info.Mode().Perm(), mode)
		}
	}
	if got := len(filesUnder(t, c.Home)); got != 8 { // with meta
		t.Errorf("%d files are in the home: %v", got, filesUnder(t, c.Home))
	}
	vkey, err := os.ReadFile(h.path("node.vkey"))
	if err != nil || string(vkey) != id.VerifyKey+"\n" {
		t.Errorf("node.vkey is %q, want %q (%v)", vkey, id.VerifyKey, err)
	}
	if !strings.HasPrefix(id.VerifyKey, "ron-ledger/01020300000000000000000000000000/blake3+") {
		t.Errorf("verifier key %s", id.VerifyKey)
	}
	if id.OwnToken.Bytes() != nil {
		t.Error("a macronode hands out a token over the socket")
	}
}

func TestOwnToken(t *testing.T) {
	c := macronodeConfig(t)
	h, id := mustStartHome(t, c)
	text, err := os.ReadFile(h.path("token"))
	if err != nil {
		t.Fatal(err)
	}
	token, err := capability.ParseToken(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	rights, err := capability.Verify(token, id.Keyring, id.Revocations)
	if err != nil {
		t.Fatal(err)
	}
	uid, now := uint32(os.Geteuid()), time.Now().Unix()
	if denial := rights.Session(uid, 0, nil, testLogID, now); denial != 0 {
		t.Error(denial)
	}
	if rights.Session(uid+1, 0, nil, testLogID, now) == 0 {
		t.Error("another uid may use it")
	}
	if rights.Session(uid, 0, nil, [16]byte{9}, now) == 0 {
		t.Error("it holds for another log")
	}
	for _, op := range []capability.Op{capability.OpAppend, capability.OpRead, capability.OpAdmin} {
		if !rights.May(op) {
			t.Errorf("it does not grant %v", op)
		}
	}
	for kind := wire.KindCredit; kind <= wire.KindCapture; kind++ {
		allowed := rights.Entry(uint8(kind), []byte("a"), []byte("b"), wire.Asset{}, 0, 1) == 0
		if allowed != (kind != wire.KindReverse) {
			t.Errorf("%v: allowed is %v", kind, allowed)
		}
	}
}

func TestLaterStartLoadsTheSame(t *testing.T) {
	c := macronodeConfig(t)
	h, first := mustStartHome(t, c)
	before, _ := os.ReadFile(h.path("token"))
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	h, second := mustStartHome(t, c)
	if string(first.Keyring.Marshal()) != string(second.Keyring.Marshal()) || !first.NodeKey.Equal(second.NodeKey) ||
		first.VerifyKey != second.VerifyKey || string(first.Certificate.Certificate[0]) != string(second.Certificate.Certificate[0]) {
		t.Error("the second start has other keys")
	}
	if after, _ := os.ReadFile(h.path("token")); string(after) != string(before) {
		t.Error("the second start made another token")
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	h, _, err := startHome(t, c, [16]byte{7}) // a new epoch
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(h.path("token")); string(after) == string(before) || !isFor(after, [16]byte{7}) {
		t.Error("a new epoch keeps a token that ended with the old one")
	}
}

func TestHomeFailsClosed(t *testing.T) {
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, h *home, c *Config)
		want  string
	}{
		{"home open to the group", func(t *testing.T, h *home, c *Config) { chmod(t, h.dir, 0o750) }, "chmod 0700"},
		{"keyring open", func(t *testing.T, h *home, c *Config) { chmod(t, h.path("keyring"), 0o640) }, "chmod 0600"},
		{"node key open", func(t *testing.T, h *home, c *Config) { chmod(t, h.path("node.key"), 0o604) }, "chmod 0600"},
		{"token open", func(t *testing.T, h *home, c *Config) { chmod(t, h.path("token"), 0o644) }, "chmod 0600"},
		{"certificate's key open", func(t *testing.T, h *home, c *Config) { chmod(t, h.path("tls.key"), 0o644) }, "chmod 0600"},
		{"keyring lost", func(t *testing.T, h *home, c *Config) { remove(t, h.path("keyring")) }, "restore it from a backup"},
		{"node key lost", func(t *testing.T, h *home, c *Config) { remove(t, h.path("node.key")) }, "restore it from a backup"},
		{"node key torn", func(t *testing.T, h *home, c *Config) { overwrite(t, h.path("node.key"), "-----BEGIN") }, "node.key"},
		{"node key of another kind", func(t *testing.T, h *home, c *Config) {
			key, err := os.ReadFile(h.path("tls.key"))
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, h.path("node.key"), string(key))
		}, "Ed25519"},
		{"keyring torn", func(t *testing.T, h *home, c *Config) { overwrite(t, h.path("keyring"), "no keyring") }, "parse keyring"},
		{"keyring a link", func(t *testing.T, h *home, c *Config) {
			if err := os.Rename(h.path("keyring"), h.path("elsewhere")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(h.path("elsewhere"), h.path("keyring")); err != nil {
				t.Fatal(err)
			}
		}, "symbolic link"},
		{"certificate's key lost", func(t *testing.T, h *home, c *Config) { remove(t, h.path("tls.key")) }, "tls.key"},
		{"revocations open", func(t *testing.T, h *home, c *Config) {
			overwrite(t, h.path("revocations"), "")
			chmod(t, h.path("revocations"), 0o644)
		}, "chmod 0600"},
		{"revocations not understood", func(t *testing.T, h *home, c *Config) { overwrite(t, h.path("revocations"), "revoke all\n") }, "parse revocations: line 1"},
		{"configured revocations missing", func(t *testing.T, h *home, c *Config) { c.Keys.Revocations = h.path("none") }, "keys.revocations"},
		{"configured keyring missing", func(t *testing.T, h *home, c *Config) { c.Keys.Keyring = h.path("none") }, "ledgerctl key add"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := macronodeConfig(t)
			h, id := mustStartHome(t, c)
			if err := h.close(); err != nil {
				t.Fatal(err)
			}
			test.spoil(t, h, c)
			_, _, err := startHome(t, c, testLogID)
			if err == nil {
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error does not say %q: %v", test.want, err)
			}
			for line := range strings.Lines(string(id.Keyring.Marshal())) {
				if fields := strings.Fields(line); fields[0] == "key" && strings.Contains(err.Error(), fields[4]) {
					t.Error("the error tells a secret")
				}
			}
		})
	}
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSecondInstance(t *testing.T) {
	c := macronodeConfig(t)
	mustStartHome(t, c)
	_, err := openHome(c)
	if _, held := errors.AsType[*peercred.HeldError](err); !held || !strings.Contains(err.Error(), "another ron-ledgerd") {
		t.Errorf("a second instance: %v", err)
	}
}

// A start that was killed between the keys and the ledger goes on where it was.
func TestKilledFirstStart(t *testing.T) {
	c := macronodeConfig(t)
	h, err := openHome(c)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := os.ReadFile(h.path("keyring"))
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, h.path(".node.key.new"), "half")
	remove(t, h.path("node.key"))
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	h, _ = mustStartHome(t, c)
	if again, _ := os.ReadFile(h.path("keyring")); string(again) != string(ring) {
		t.Error("the keyring was made again")
	}
	if _, err := os.Lstat(h.path(".node.key.new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the killed start has left is still there: %v", err)
	}
}

func TestHomeThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	overwrite(t, file, "")
	c := Defaults(Macronode)
	c.Home = filepath.Join(file, "home")
	if _, err := openHome(c); err == nil || !strings.Contains(err.Error(), "--home") {
		t.Errorf("a home below a file: %v", err)
	}
	c.Home = "/proc/ron-ledger" // not even root makes a folder there
	if _, err := openHome(c); err == nil || !strings.Contains(err.Error(), "--home") {
		t.Errorf("a home that nobody can make: %v", err)
	}
	c.Home = file
	if _, err := openHome(c); err == nil {
		t.Error("a file is taken for a home")
	}
}

func TestMicronodeWritesNothing(t *testing.T) {
	c := Defaults(Micronode)
	c.Home = filepath.Join(t.TempDir(), "home")
	h, id, err := startHome(t, c, testLogID)
	if err != nil {
		t.Fatal(err)
	}
	if files := filesUnder(t, c.Home); len(files) > 0 {
		t.Errorf("it wrote %v", files)
	}
	rights, err := capability.Verify(id.OwnToken, id.Keyring, id.Revocations)
	if err != nil {
		t.Fatal(err)
	}
	if denial := rights.Session(uint32(os.Geteuid()), 0, nil, testLogID, time.Now().Unix()); denial != 0 {
		t.Error(denial)
	}
	if err := h.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(c.Home); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder is still there: %v", err)
	}
	c.UDS.Path = filepath.Join(t.TempDir(), "s")
	if _, _, err := startHome(t, c, testLogID); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(c.Home); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it made a folder that it does not need: %v", err)
	}
}

func TestMicronodeWithAKeyring(t *testing.T) {
	c := Defaults(Micronode)
	c.Home = filepath.Join(t.TempDir(), "home")
	ring, err := newKeyring()
	if err != nil {
		t.Fatal(err)
	}
	c.Keys.Keyring = filepath.Join(t.TempDir(), "ring")
	overwrite(t, c.Keys.Keyring, string(ring.Marshal()))
	_, id, err := startHome(t, c, testLogID)
	if err != nil {
		t.Fatal(err)
	}
	if string(id.Keyring.Marshal()) != string(ring.Marshal()) {
		t.Error("it has another keyring")
	}
	if id.OwnToken.Bytes() != nil {
		t.Error("it hands out a token although somebody keeps the keys")
	}
}
