package sidecar

import (
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
)

// Identity is what a sidecar proves itself and others with, as the start has read it.
type Identity struct {
	Keyring     *capability.Keyring
	Revocations *capability.Revocations // nil revokes nothing
	NodeKey     ed25519.PrivateKey      // signs checkpoints
	VerifyKey   string                  // verifies them: a vkey line
	Certificate tls.Certificate

	// OwnToken is for a peer of the sidecar's own uid that sends no token. It is
	// there only where the keys live in memory; otherwise it is the zero Token and
	// the token is in the home.
	OwnToken capability.Token

	signer            note.Signer // of checkpoints, with NodeKey
	certFile, keyFile string      // empty: Certificate is in memory
	seen              certWitness // of Certificate
}

// home is the folder of a ledger. A macronode locks it for as long as it runs. A
// micronode writes nothing into it: its socket may lie there, with its own lock.
type home struct {
	dir     string
	durable bool
	lock    *peercred.Lock
	made    bool // by openHome, for a micronode
}

// storeMetaFile is there once the store has been created.
const storeMetaFile = "meta"

// openHome makes and locks the home. On the first start it also makes the keyring
// and the node key, before there is a ledger: a ledger without them has lost them.
func openHome(c *Config) (_ *home, err error) {
	h := &home{dir: c.Home, durable: c.Profile == Macronode}
	if !h.durable {
		if c.UDS.Path == "" {
			h.made, err = makeHome(h.dir)
		}
		return h, err
	}
	if _, err := makeHome(h.dir); err != nil {
		return nil, err
	}
	if err := peercred.CheckPrivate(h.dir); err != nil {
		return nil, fmt.Errorf("open home: %w", err)
	}
	if err := checkRestored(h.dir); err != nil {
		return nil, fmt.Errorf("open home %s: %w", h.dir, err)
	}
	if h.lock, err = peercred.LockFile(h.path(lockFile)); err != nil {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			return nil, fmt.Errorf("open home: %s cannot be written: choose another with --home, or use --profile micronode: %w", h.dir, err)
		}
		return nil, fmt.Errorf("open home: %w", err)
	}
	if err := h.makeKeys(c); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *home) path(name string) string { return filepath.Join(h.dir, name) }

// makeHome makes the folder, for this uid alone, where it is missing.
func makeHome(dir string) (made bool, err error) {
	if _, err := os.Lstat(dir); err == nil {
		return false, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("make home: choose a folder that can be written with --home: %w", err)
	}
	return true, nil
}

// makeKeys makes what is missing of the keyring and the node key, on a first start.
func (h *home) makeKeys(c *Config) error {
	if _, err := os.Lstat(h.path(storeMetaFile)); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open home: %w", err)
	}
	if c.Keys.Keyring == "" {
		if err := makeMissing(h.path(keyringFile), 0o600, func() ([]byte, error) {
			ring, err := newKeyring()
			if err != nil {
				return nil, err
			}
			return ring.Marshal(), nil
		}); err != nil {
			return err
		}
	}
	return makeMissing(h.path(nodeKeyFile), 0o600, newNodeKey)
}

// close gives up the lock. A home that was made for nothing but a socket goes with
// it.
func (h *home) close() error {
	if h.made {
		_ = os.Remove(h.dir) // not empty: something else came to live there
	}
	if h.lock == nil {
		return nil
	}
	return h.lock.Close()
}

func newKeyring() (*capability.Keyring, error) {
	ring := new(capability.Keyring)
	if err := ring.Add(capability.GenerateKey(time.Now().Unix())); err != nil {
		return nil, fmt.Errorf("make keyring: %w", err)
	}
	return ring, nil
}

// makeMissing writes a file that is not there yet.
func makeMissing(path string, mode fs.FileMode, content func() ([]byte, error)) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	text, err := content()
	if err != nil {
		return err
	}
	return writeFile(path, text, mode)
}

// writeFile puts a file in its place whole or not at all, durably: written beside
// it, synced, renamed, and the folder synced. The folder has to be private: the
// name beside it can be guessed.
func writeFile(path string, text []byte, mode fs.FileMode) (err error) {
	dir, base := filepath.Split(path)
	beside := filepath.Join(dir, besideName(base))
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, errors.Join(err, removeMissingOK(beside)))
		}
	}()
	if err := removeMissingOK(beside); err != nil { // of a start that was killed
		return err
	}
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(beside, path); err != nil {
		return err
	}
	return syncDir(dir)
}

// besideName is the name of a file until it is whole.
func besideName(name string) string { return "." + name + ".new" }

func removeMissingOK(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func syncDir(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
