package sidecar

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// NewEpoch says how an epoch begins. Where LogID is zero one is drawn, where TimeMs is zero it
// is now.
type NewEpoch = committer.NewEpoch

// BeginEpoch ends the epoch of the ledger that lies in a home and begins the next one, as
// committer.BeginEpoch has it: the log has to end at n.Size and to be sound. It locks the home, so
// that it fails where a sidecar runs. The next start serves the new epoch: tokens of the old log id
// are refused, and the token of the home is made again.
func BeginEpoch(home string, n NewEpoch) (begun wire.Epoch, err error) {
	lock, err := lockStopped(home)
	if err != nil {
		return begun, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return beginEpoch(home, n)
}

// beginEpoch is BeginEpoch for who holds the lock of the home.
func beginEpoch(home string, n NewEpoch) (begun wire.Epoch, err error) {
	if n.LogID == [16]byte{} {
		rand.Read(n.LogID[:])
	}
	if n.TimeMs == 0 {
		n.TimeMs = time.Now().UnixMilli()
	}
	s, err := store.Open(store.Options{Dir: home, Fatal: stopUnknown})
	if err != nil {
		return begun, err
	}
	begun, err = committer.BeginEpoch(s, committer.Options{Fatal: stopUnknown, Log: zap.NewNop()}, n)
	if err := errors.Join(err, s.Close()); err != nil {
		return begun, fmt.Errorf("begin an epoch in %s: %w", home, err)
	}
	return begun, nil
}

// stopUnknown ends the process when what is on disk is not known.
func stopUnknown(what string) {
	fmt.Fprintf(os.Stderr, "ron-ledger: the state of the ledger on disk is unknown: %s: run the command again\n", what)
	os.Exit(ExitUnknownState)
}

// lockStopped locks the home of a ledger that no sidecar runs on.
func lockStopped(home string) (*peercred.Lock, error) {
	if _, err := os.Lstat(filepath.Join(home, storeMetaFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no ledger here: %w", home, fs.ErrNotExist)
	}
	lock, err := peercred.LockFile(filepath.Join(home, lockFile))
	if err != nil {
		return nil, fmt.Errorf("lock %s, where the sidecar has to be stopped: %w", home, err)
	}
	return lock, nil
}
