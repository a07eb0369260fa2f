package sidecar

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/store"
)

// KeyringPath is where the keyring lies in a home, unless keys.keyring says otherwise.
func KeyringPath(home string) string { return filepath.Join(home, keyringFile) }

// RevocationsPath is where the revocation list lies in a home, unless keys.revocations
// says otherwise.
func RevocationsPath(home string) string { return filepath.Join(home, revocationsFile) }

// LogIDOf returns the log id in force of the ledger that lies in a home, whether a sidecar runs
// there or not. A micronode has none on disk: the error is fs.ErrNotExist.
func LogIDOf(home string) ([16]byte, error) {
	meta, err := store.ReadMeta(home)
	_, logID := meta.InForce()
	return logID, err
}

// LoadKeyring reads a keyring, which has to be a private file of this uid.
func LoadKeyring(path string) (*capability.Keyring, error) {
	text, err := peercred.ReadPrivate(path, secretBytesMax)
	if err != nil {
		return nil, missing(err, "restore it from a backup, or make one with ledgerctl key add: tokens of the lost one end")
	}
	defer clear(text)
	ring, err := capability.ParseKeyring(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: restore it from a backup, or mend it by hand", path, err)
	}
	return ring, nil
}

// ChangeKeyring changes the keyring at path. With create a missing one begins empty.
func ChangeKeyring(path string, create bool, change func(*capability.Keyring) error) error {
	return changeFile(path, func() ([]byte, error) {
		ring, err := LoadKeyring(path)
		if create && errors.Is(err, fs.ErrNotExist) {
			ring, err = new(capability.Keyring), nil
		}
		if err != nil {
			return nil, err
		}
		if err := change(ring); err != nil {
			return nil, err
		}
		return ring.Marshal(), nil
	})
}

// Revoke adds a line, such as "kid 0011223344556677  # stolen", to the revocation list at
// path, which it makes where it is missing. What stands there stays, but for its sum.
func Revoke(path, line string) error {
	return changeFile(path, func() ([]byte, error) {
		text, err := peercred.ReadPrivate(path, revocationBytesMax)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if text, err = capability.AppendRevocation(text, line); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(text) > revocationBytesMax {
			return nil, fmt.Errorf("%s would be longer than %d bytes: take out tokens that have expired, or rotate the key and revoke the old one", path, revocationBytesMax)
		}
		return text, nil
	})
}

// changeFile replaces a file whole, so that a sidecar never reads half of it, and under
// a lock, so that of two operators neither undoes what the other did.
func changeFile(path string, content func() ([]byte, error)) (err error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("change %s: it is not a regular file: change the file that it leads to, where it is made", path)
	}
	lock, err := peercred.LockFile(path + ".lock")
	if err != nil {
		return fmt.Errorf("change %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	text, err := content()
	if err != nil {
		return err
	}
	defer clear(text)
	return writeFile(path, text, 0o600)
}
