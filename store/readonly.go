package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
)

// toRead makes a database one that is not written. What is found damaged comes back as the error of
// the read that met it, and ends nothing else.
func (s *Store) toRead(o *pebble.Options) {
	o.ReadOnly = true
	o.EventListener.DataCorruption = s.damaged.add
}

// openToRead opens log, head file and state as they lie there.
func (s *Store) openToRead(o *Options) error {
	meta, exists, err := readMeta(s.fs, s.dir)
	if err != nil {
		return err
	}
	if !exists {
		return fmt.Errorf("there is no %s file: this is not the home of a ledger: %w", metaName, fs.ErrNotExist)
	}
	s.meta = meta
	if err := s.openLog(o, false); err != nil {
		return err
	}
	if s.headAt, _, err = readHead(o.plainFS(), s.dir); err != nil {
		return err
	}
	s.state.discard = func(cause error) { s.logger.Error("the state is damaged", zap.Error(cause)) }
	if s.stateErr = s.tryState(o); s.stateErr != nil {
		s.stateErr = errors.Join(s.stateErr, s.state.close(s.logger))
	}
	return nil
}

// StateErr returns why a store that was opened with ReadOnly has no state; nil where it has one.
// Without a state only what reads the log may be called.
func (s *Store) StateErr() error { return s.stateErr }

// Index yields all rows of the index, sorted by nonce, then account. Rows that name a record beyond
// the mark are what a crash left of a checkpoint: they do not count. An error ends the iteration.
func (s *Store) Index() iter.Seq2[Indexed, error] {
	return func(yield func(Indexed, error) bool) {
		it, err := s.state.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyIndex}, UpperBound: []byte{keyIndex + 1}})
		if err != nil {
			yield(Indexed{}, fmt.Errorf("list the index: %w", err))
			return
		}
		defer it.Close()
		for it.First(); it.Valid(); it.Next() {
			row, err := indexedAt(it)
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(Indexed{}, fmt.Errorf("list the index: %w", err))
		}
	}
}

func indexedAt(it *pebble.Iterator) (row Indexed, err error) {
	key := it.Key()
	value, err := it.ValueAndErr()
	if err == nil && (len(key) != 25 || len(value) != 8) {
		err = errRow
	}
	if err != nil {
		return row, fmt.Errorf("list the index: the row at key %x: %w", key, err)
	}
	row.Nonce, row.Account = [16]byte(key[1:17]), binary.BigEndian.Uint64(key[17:])
	row.Seq = binary.BigEndian.Uint64(value)
	return row, nil
}
