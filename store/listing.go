package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// Listing is a consistent view of all balances. It holds back the removal of old tables: close it
// soon.
type Listing struct {
	snapshot *pebble.Snapshot
	mark     Mark
}

// Balances returns the balances as of the newest mark.
func (s *Store) Balances() (*Listing, error) {
	snapshot := s.state.db.NewSnapshot()
	mark, err := readMark(snapshot)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("list balances: %w", err), snapshot.Close())
	}
	return &Listing{snapshot: snapshot, mark: mark}, nil
}

// Mark returns what the listing is as of.
func (l *Listing) Mark() Mark { return l.mark }

// Close releases the view.
func (l *Listing) Close() error { return l.snapshot.Close() }

// Rows yields the balances sorted by account name, then asset, both by their bytes, beginning with the
// first account whose name is not below from (nil: with the first). Name holds until the next step.
func (l *Listing) Rows(from []byte) iter.Seq2[BalanceRow, error] {
	return func(yield func(BalanceRow, error) bool) {
		it, err := l.snapshot.NewIter(&pebble.IterOptions{
			LowerBound: appendNameKey(nil, keyBalance, from),
			UpperBound: []byte{keyBalance + 1},
		})
		if err != nil {
			yield(BalanceRow{}, fmt.Errorf("list balances: %w", err))
			return
		}
		defer it.Close()
		for it.First(); it.Valid(); it.Next() {
			row, err := balanceRowAt(it)
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(BalanceRow{}, fmt.Errorf("list balances: %w", err))
		}
	}
}

func balanceRowAt(it *pebble.Iterator) (BalanceRow, error) {
	key, value := it.Key(), it.Value()
	split := len(key) - 9
	if split < 2 || key[split] != 0 || len(value) != 32 {
		return BalanceRow{}, fmt.Errorf("list balances: the row at key %x does not decode", key)
	}
	return BalanceRow{
		Name:      key[1:split],
		Asset:     [8]byte(key[split+1:]),
		Available: [16]byte(value[:16]),
		Held:      [16]byte(value[16:]),
	}, nil
}

// Supplies returns the supply of every asset as of the newest mark, sorted by asset.
func (s *Store) Supplies() (rows []SupplyRow, err error) {
	err = s.scanState([]byte{keySupply}, []byte{keySupply + 1}, func(key, value []byte) (bool, error) {
		if len(key) != 9 || len(value) != 16 {
			return false, fmt.Errorf("the row at key %x does not decode", key)
		}
		rows = append(rows, SupplyRow{Asset: [8]byte(key[1:]), Supply: [16]byte(value)})
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list supplies: %w", err)
	}
	return rows, nil
}

// Roots returns at most limit roots with Seq > since, in order, as of the newest mark.
func (s *Store) Roots(since uint64, limit int) (rows []RootRow, err error) {
	if since == ^uint64(0) || limit < 1 {
		return nil, nil
	}
	lower := appendSeqKey(nil, keyRoot, since+1)
	err = s.scanState(lower, []byte{keyRoot + 1}, func(key, value []byte) (bool, error) {
		if len(key) != 9 || len(value) != 40 {
			return false, fmt.Errorf("the row at key %x does not decode", key)
		}
		rows = append(rows, RootRow{
			Seq:    binary.BigEndian.Uint64(key[1:]),
			Root:   [32]byte(value),
			TimeMs: int64(binary.BigEndian.Uint64(value[32:])),
		})
		return len(rows) < limit, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list roots after %d: %w", since, err)
	}
	return rows, nil
}

// scanState calls row for the rows from lower up to upper (excluded) until it returns false.
func (s *Store) scanState(lower, upper []byte, row func(key, value []byte) (bool, error)) (err error) {
	it, err := s.state.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, it.Close())
		s.state.noteDamage(err)
	}()
	for it.First(); it.Valid(); it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if more, err := row(it.Key(), value); err != nil || !more {
			return err
		}
	}
	return it.Error()
}

// Identities yields every identity of the index as of now, in the order of nonce
// and account. An error ends the iteration.
func (s *Store) Identities() iter.Seq2[Identity, error] {
	return func(yield func(Identity, error) bool) {
		goOn := true
		err := s.scanState([]byte{keyIndex}, []byte{keyIndex + 1}, func(key, _ []byte) (bool, error) {
			if len(key) != 25 {
				return false, fmt.Errorf("the row at key %x does not decode", key)
			}
			goOn = yield(Identity{Nonce: [16]byte(key[1:]), Account: binary.BigEndian.Uint64(key[17:])}, nil)
			return goOn, nil
		})
		if err != nil && goOn {
			yield(Identity{}, fmt.Errorf("list identities: %w", err))
		}
	}
}
