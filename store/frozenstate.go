package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// FrozenState is the state as it was at one mark, beside the one that goes on being written.
type FrozenState struct {
	db     *pebble.DB
	frozen *frozenFS
	cache  *pebble.Cache
	files  *pebble.FileCache
	mark   Mark
}

// What a frozen state may take, since each row is read once.
const (
	frozenCacheBytes = 1 << 20
	frozenFilesMax   = 64
)

// FreezeState opens the state as it is at its newest mark once more, through files and a cache of its
// own, so that reading all of it takes nothing from look-ups. Until it is closed every table is held by a
// link beside it, or held open where the file system has no links. read is as that of ScrubLog.
func (s *Store) FreezeState(read func(n int) error) (*FrozenState, error) {
	for try := 1; ; try++ {
		frozen := newFrozen(&throttledFS{FS: s.fs, read: read}, s.dir)
		frozen.links = fmt.Sprintf(".%d%s", s.freezes.Add(1), linkSuffix)
		f, err := s.freezeState(frozen)
		if err == nil {
			return f, nil
		}
		again := try < freezeTries && frozen.movedOn()
		if err = errors.Join(err, frozen.Close()); !again {
			return nil, fmt.Errorf("freeze the state: %w", fromEngine(err))
		}
	}
}

func (s *Store) freezeState(frozen *frozenFS) (_ *FrozenState, err error) {
	dir := s.fs.PathJoin(s.dir, stateDirName)
	if err := frozen.database(dir); err != nil {
		return nil, err
	}
	f := &FrozenState{frozen: frozen, cache: pebble.NewCache(frozenCacheBytes), files: pebble.NewFileCache(1, frozenFilesMax)}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.release())
		}
	}()
	options := stateOptions(&Options{Logger: s.logger}, engineOptions(frozen, f.cache, f.files), func(error) {}, new(stalls))
	s.toRead(options)
	if f.db, err = pebble.Open(dir, options); err != nil {
		return nil, err
	}
	f.mark, err = readMark(f.db)
	return f, err
}

// Mark returns what it is as of.
func (f *FrozenState) Mark() Mark { return f.mark }

// Close lets go of the files.
func (f *FrozenState) Close() error { return errors.Join(f.release(), f.frozen.Close()) }

func (f *FrozenState) release() error {
	var err error
	if f.db != nil {
		err = f.db.Close()
	}
	f.files.Unref()
	f.cache.Unref()
	return err
}

// Rows yields every row but the mark and the digests of pruned bodies, in the order of the keys: a
// *BalanceRow, *HoldRow, *AccountRow, *RequestRow, *RootRow, *SupplyRow, *TileRow, *ReversedRow or
// *Indexed, which holds until the next step. Index rows may name records beyond the mark: they do not
// count. An error ends the iteration; IsDamage tells what it says.
func (f *FrozenState) Rows() iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		it, err := f.db.NewIter(nil)
		if err != nil {
			yield(nil, fmt.Errorf("read the rows of the state: %w", fromEngine(err)))
			return
		}
		defer it.Close()
		rows := new(rowReader)
		for it.First(); it.Valid(); it.Next() {
			row, err := rows.at(it)
			if row == nil && err == nil {
				continue
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(nil, fmt.Errorf("read the rows of the state: %w", fromEngine(err)))
		}
	}
}

// rowReader holds a row of each kind.
type rowReader struct {
	balance  BalanceRow
	hold     HoldRow
	account  AccountRow
	request  RequestRow
	root     RootRow
	supply   SupplyRow
	tile     TileRow
	reversed ReversedRow
	indexed  Indexed
}

// at returns the row under it; nil for a mark or a digest.
func (r *rowReader) at(it *pebble.Iterator) (row any, err error) {
	key := it.Key()
	value, err := it.ValueAndErr()
	if err != nil {
		return nil, fmt.Errorf("read the row at key %x: %w", key, fromEngine(err))
	}
	is := func(keyLength, valueLength int) bool { return len(key) == keyLength && len(value) == valueLength }
	switch prefix := key[0]; {
	case prefix == keyMark, prefix == keyContents:
		return nil, nil
	case prefix == keyBalance:
		r.balance, err = balanceRowAt(it)
		return &r.balance, err
	case prefix == keyIndex:
		r.indexed, err = indexedAt(it)
		return &r.indexed, err
	case prefix == keyHold && is(25, 24):
		r.hold = HoldRow{Identity{[16]byte(key[1:]), binary.BigEndian.Uint64(key[17:])}, [8]byte(value), [16]byte(value[8:])}
		return &r.hold, nil
	case prefix == keyAccount && len(key) > 1 && len(value) == 8:
		r.account = AccountRow{key[1:], binary.BigEndian.Uint64(value)}
		return &r.account, nil
	case prefix == keyRequest && is(17, 12):
		r.request = RequestRow{[16]byte(key[1:]), binary.BigEndian.Uint64(value), binary.BigEndian.Uint32(value[8:])}
		return &r.request, nil
	case prefix == keyRoot && is(9, 40):
		r.root = RootRow{binary.BigEndian.Uint64(key[1:]), [32]byte(value), int64(binary.BigEndian.Uint64(value[32:]))}
		return &r.root, nil
	case prefix == keySupply && is(9, 16):
		r.supply = SupplyRow{[8]byte(key[1:]), [16]byte(value)}
		return &r.supply, nil
	case prefix == keyTile && len(key) == 10:
		r.tile = TileRow{key[1], binary.BigEndian.Uint64(key[2:]), value}
		return &r.tile, nil
	case prefix == keyReversed && is(9, 8):
		r.reversed = ReversedRow{binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(value)}
		return &r.reversed, nil
	}
	return nil, fmt.Errorf("the row at key %x does not decode", key)
}
