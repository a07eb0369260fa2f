package sidecartest

import (
	"errors"
	"testing"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// HoldLoad holds a store against the journals of a load: it passes CheckLedger, and it has what writers.Hold
// asks for. No writer may run meanwhile.
func HoldLoad(l *writers.Load, s *store.Store) error {
	if err := CheckLedger(s); err != nil {
		return err
	}
	log, err := logOf(s)
	if err != nil {
		return err
	}
	return writers.Hold(log, l)
}

// logOf reads what journals are held against.
func logOf(s *store.Store) (*writers.Log, error) {
	log := writers.NewLog()
	for commit, err := range s.Commits(1) {
		if err != nil {
			return nil, err
		}
		start := uint32(0)
		for i, end := range commit.Ends {
			if err := log.Add(commit.First+uint64(i), wire.Record(commit.Records[start:end]).Entry()); err != nil {
				return nil, err
			}
			start = end
		}
		log.Root(commit.Last(), commit.Root)
	}
	return log, nil
}

// CheckLoad opens the home of a ledger that has ended, as it lies there, and holds it against the
// journals of the load.
func CheckLoad(t testing.TB, l *writers.Load, home string) {
	t.Helper()
	if err := openAndCheck(l, home); err != nil {
		t.Fatalf("check %s: %v", home, err)
	}
}

func openAndCheck(l *writers.Load, home string) error {
	s, err := store.Open(store.Options{Dir: home})
	if err != nil {
		return err
	}
	return errors.Join(HoldLoad(l, s), s.Close())
}
