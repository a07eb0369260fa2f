package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// pebblePeer is the storage engine below ron-ledger, without it: entries under rising
// keys, and a random key of 24 bytes for each that leads to it.
var pebblePeer = peer{
	"pebble", "in process; random index key an entry, memtables 4 × 64 MiB, group commit by ApplyNoSyncWait, Sync",
	func(_ context.Context, dir string, _ int) (*instance, error) {
		db, err := pebble.Open(dir, &pebble.Options{
			FormatMajorVersion: pebble.FormatNewest, MemTableSize: 64 << 20, MemTableStopWritesThreshold: 4,
			L0CompactionThreshold: 4, L0StopWritesThreshold: 24, Logger: pebbleLog{},
		})
		if err != nil {
			return nil, err
		}
		l := &pebbleLedger{db: db, random: rand.NewChaCha8([32]byte{1})}
		return &instance{append: l.append, stop: db.Close}, nil
	},
}

type pebbleLedger struct {
	db     *pebble.DB
	mu     sync.Mutex // guards what follows, and the order of batches
	size   uint64
	random *rand.ChaCha8
}

func (l *pebbleLedger) append(_ context.Context, _ int, entries [][]byte) (err error) {
	batch := l.db.NewBatch()
	if err := l.apply(batch, entries); err != nil {
		return err
	}
	if err := batch.SyncWait(); err != nil {
		return err
	}
	return batch.Close()
}

func (l *pebbleLedger) apply(batch *pebble.Batch, entries [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sequence [8]byte
	var index [24]byte
	for _, entry := range entries {
		l.size++
		binary.BigEndian.PutUint64(sequence[:], l.size)
		_, _ = l.random.Read(index[:])
		index[0] = 0xff
		if err := batch.Set(sequence[:], entry, nil); err != nil {
			return err
		}
		if err := batch.Set(index[:], sequence[:], nil); err != nil {
			return err
		}
	}
	return l.db.ApplyNoSyncWait(batch, pebble.Sync)
}

type pebbleLog struct{}

func (pebbleLog) Infof(string, ...any)           {}
func (pebbleLog) Errorf(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }
func (pebbleLog) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
