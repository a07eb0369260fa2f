package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// readersMax bounds the idle readers that are kept.
const readersMax = 8

// reader is an iterator over the state with room for a key. An iterator instead of Get, because
// Get does not ask the filters of the lowest level, where most of the index lies.
type reader struct {
	it         *pebble.Iterator
	generation uint64
	key        [stateKeyMax]byte
}

// readers keeps iterators between look-ups. An iterator shows the database as it was when it was
// made, so a finished checkpoint begins a new generation and the old ones are closed when they come
// back.
type readers struct {
	mu         sync.Mutex
	generation uint64
	idle       []*reader
}

func (p *readers) take(db *pebble.DB) (*reader, error) {
	p.mu.Lock()
	generation := p.generation
	if n := len(p.idle); n > 0 {
		r := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return r, nil
	}
	p.mu.Unlock()
	it, err := db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return nil, err
	}
	return &reader{it: it, generation: generation}, nil
}

func (p *readers) put(r *reader) {
	p.mu.Lock()
	keep := r.generation == p.generation && len(p.idle) < readersMax
	if keep {
		p.idle = append(p.idle, r)
	}
	p.mu.Unlock()
	if !keep {
		_ = r.it.Close() // its errors were returned by the look-up
	}
}

// renew closes every idle reader and lets those in use be closed when they come back.
func (p *readers) renew() {
	p.mu.Lock()
	old := p.idle
	p.idle = nil
	p.generation++
	p.mu.Unlock()
	for _, r := range old {
		_ = r.it.Close()
	}
}

func (p *readers) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	for _, r := range p.idle {
		err = errors.Join(err, r.it.Close())
	}
	p.idle = nil
	p.generation++
	return err
}

var errRow = errors.New("a row of the state does not decode")

// get looks the key up and appends its value to dst.
func (st *state) get(r *reader, key, dst []byte) ([]byte, bool, error) {
	if !r.it.SeekPrefixGE(key) || !bytes.Equal(r.it.Key(), key) {
		return dst, false, r.it.Error()
	}
	value, err := r.it.ValueAndErr()
	if err != nil {
		return dst, false, err
	}
	return append(dst, value...), true, nil
}

// noteDamage makes the next start discard the state when err says that it is damaged.
func (st *state) noteDamage(err error) {
	if pebble.IsCorruptionError(err) || errors.Is(err, errRow) {
		st.discardOnce.Do(func() { st.discard(err) })
	}
}

// lookup runs one look-up: key builds the key into the reader's buffer. A state that turns out to be
// damaged is discarded at the next start.
func (s *Store) lookup(dst []byte, want int, what string, key func([]byte) []byte) ([]byte, bool, error) {
	st := &s.state
	r, err := st.readers.take(st.db)
	if err != nil {
		return dst, false, fmt.Errorf("look up %s: %w", what, err)
	}
	value, ok, err := st.get(r, key(r.key[:0]), dst)
	if err == nil && ok && want >= 0 && len(value) != want {
		err = fmt.Errorf("%w: its row is %d bytes long instead of %d", errRow, len(value), want)
	}
	if err != nil {
		_ = r.it.Close()
		st.noteDamage(err)
		return dst, false, fmt.Errorf("look up %s: %w", what, err)
	}
	st.readers.put(r)
	return value, ok, nil
}

// LookupIdentity returns the sequence number of the record of an identity, as of the newest mark.
// After a loss of the log's end and new writes, a crash may have left a row that names another
// record: the caller, who has to compare the record anyhow, treats a record of another identity as
// absent.
func (s *Store) LookupIdentity(id Identity) (seq uint64, ok bool, err error) {
	var value [8]byte
	_, ok, err = s.lookup(value[:0], 8, "identity", func(b []byte) []byte { return appendIdentityKey(b, keyIndex, &id) })
	if seq = binary.BigEndian.Uint64(value[:]); !ok || seq > s.state.markSize() {
		return 0, false, err
	}
	return seq, true, nil
}

// LookupAccount returns the number of an account.
func (s *Store) LookupAccount(name []byte) (number uint64, ok bool, err error) {
	if !validName(name) {
		return 0, false, nil
	}
	var value [8]byte
	_, ok, err = s.lookup(value[:0], 8, "account", func(b []byte) []byte { return appendNameKey(b, keyAccount, name) })
	return binary.BigEndian.Uint64(value[:]), ok, err
}

// LookupBalance returns what an account holds of an asset, as little-endian 128-bit integers.
func (s *Store) LookupBalance(name []byte, asset [8]byte) (available, held [16]byte, ok bool, err error) {
	if !validName(name) {
		return available, held, false, nil
	}
	var value [32]byte
	_, ok, err = s.lookup(value[:0], 32, "balance", func(b []byte) []byte { return appendBalanceKey(b, name, &asset) })
	return [16]byte(value[:16]), [16]byte(value[16:]), ok, err
}

// LookupHold returns the asset of an open hold and what is left of it.
func (s *Store) LookupHold(id Identity) (asset [8]byte, remaining [16]byte, ok bool, err error) {
	var value [24]byte
	_, ok, err = s.lookup(value[:0], 24, "hold", func(b []byte) []byte { return appendIdentityKey(b, keyHold, &id) })
	return [8]byte(value[:8]), [16]byte(value[8:]), ok, err
}

// LookupReversed returns the sequence number of the reversal of the record seq.
func (s *Store) LookupReversed(seq uint64) (reversal uint64, ok bool, err error) {
	var value [8]byte
	_, ok, err = s.lookup(value[:0], 8, "reversal", func(b []byte) []byte { return appendSeqKey(b, keyReversed, seq) })
	return binary.BigEndian.Uint64(value[:]), ok, err
}

// LookupRequest returns the records of the atomic request with an idem_id.
func (s *Store) LookupRequest(idemID [16]byte) (first uint64, count uint32, ok bool, err error) {
	var value [12]byte
	_, ok, err = s.lookup(value[:0], 12, "request", func(b []byte) []byte { return append(append(b, keyRequest), idemID[:]...) })
	return binary.BigEndian.Uint64(value[:]), binary.BigEndian.Uint32(value[8:]), ok, err
}

// LookupTile appends a tile to dst.
func (s *Store) LookupTile(level uint8, index uint64, dst []byte) (data []byte, ok bool, err error) {
	return s.lookup(dst, -1, "tile", func(b []byte) []byte { return appendTileKey(b, level, index) })
}
