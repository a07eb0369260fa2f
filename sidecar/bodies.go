package sidecar

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// bodiesTimeout bounds the wait for a segment of the archive.
const bodiesTimeout = 10 * time.Second

// archiveRetryAfter is when a read should be tried again that the archive did not answer.
const archiveRetryAfter = time.Second

// bodies reads entries where their bodies are: in the log, or, once they were pruned, in the archive. The
// committer never does: it would wait for the network.
type bodies struct {
	store  *store.Store
	older  *archive.Bodies // nil: there is no archive
	logged atomic.Int64    // Unix time at which a failure was last told in the log
}

// open takes the archive for what is not in the log, where there is one.
func (b *bodies) open(s *Sidecar) error {
	if s.archiver == nil {
		return nil
	}
	verifier, err := merkle.NewVerifier(s.identity.signer.Name(), s.identity.NodeKey.Public().(ed25519.PublicKey))
	if err != nil {
		return fmt.Errorf("read from the archive: %w", err)
	}
	b.older = archive.NewBodies(archive.BodiesOptions{
		Objects: s.archiver.objects, LogID: s.logID, Hash: s.hash, Verifier: verifier,
		Leaves: func(block uint64) ([]merkle.Hash, error) { return prunedLeaves(s.store, block, merkle.BlockLeaves) },
		Commit: func(seq uint64) (store.RootRow, error) {
			rows, err := s.store.Roots(seq-1, 1)
			if err == nil && len(rows) == 0 {
				err = fmt.Errorf("the root of the commit of entry %d: %w", seq, store.ErrNotFound)
			}
			if err != nil {
				return store.RootRow{}, err
			}
			return rows[0], nil
		},
		CacheBytes: int64(s.config.Archive.CacheBytes), Timeout: bodiesTimeout,
	})
	return nil
}

// stop ends what is being read from the archive.
func (b *bodies) stop(ctx context.Context) error {
	if b.older == nil {
		return nil
	}
	return b.older.Close(ctx)
}

// oldest returns the lowest sequence number whose entry can be read.
func (b *bodies) oldest() uint64 {
	if b.older != nil {
		return 1
	}
	return oldestKept(b.store)
}

// record appends the record seq to dst.
func (b *bodies) record(ctx context.Context, seq uint64, dst []byte) ([]byte, error) {
	record, err := b.store.Record(seq, dst)
	if b.older == nil || !errors.Is(err, store.ErrNotFound) || seq == 0 || seq >= oldestKept(b.store) {
		return record, err
	}
	for older, err := range b.older.Records(ctx, seq, seq) {
		return append(dst, older.Bytes...), err
	}
	return dst, store.ErrNotFound
}

// records yields the records from..to, which have to be durable, in order. Bytes hold until the next step.
func (b *bodies) records(ctx context.Context, from, to uint64) iter.Seq2[store.Record, error] {
	if b.older == nil {
		return b.store.Records(from, to)
	}
	return func(yield func(store.Record, error) bool) {
		for next := from; next <= to; {
			began, first := next, oldestKept(b.store)
			part := b.store.Records(next, to)
			if next < first {
				part = b.older.Records(ctx, next, min(to, first-1))
			}
			for r, err := range part {
				if (err != nil || r.Seq != next) && first <= next && next < oldestKept(b.store) {
					break // pruned meanwhile: the archive has it
				}
				if !yield(r, err) || err != nil {
					return
				}
				next++
			}
			if next == began && next >= oldestKept(b.store) {
				return // there is no more
			}
		}
	}
}

// isOf reports whether a record is that of an identity.
func isOf(record, account []byte, nonce wire.Nonce) bool {
	r, fault := wire.NextRecord(record)
	return fault.OK() && r.Entry().Nonce() == nonce && bytes.Equal(r.Entry().Account(), account)
}

// failedBodies answers a read that the archive has not given what it needs, and reports whether it was that. The log
// is told once a second at most.
func (ss *session) failedBodies(id uint64, err error) bool {
	unavailable, damaged := new(archive.UnavailableError), new(archive.DamagedError)
	switch {
	case errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &unavailable):
		ss.sidecar.roots.bodies.warn(ss.log, "an entry was not read from the archive", err)
		ss.out.fail(id, wire.Fault{Reason: wire.ReasonBusy, Detail: unavailable.Error()}, archiveRetryAfter)
	case errors.As(err, &damaged):
		ss.sidecar.roots.bodies.warn(ss.log, "an entry cannot be read from the archive", err)
		ss.out.fail(id, wire.Fault{Reason: wire.ReasonInternal, Detail: damaged.Error()}, 0)
	default:
		return false
	}
	return true
}

func (b *bodies) warn(log *zap.Logger, what string, err error) {
	now, last := time.Now().Unix(), b.logged.Load()
	if now > last && b.logged.CompareAndSwap(last, now) {
		log.Warn(what, zap.Error(err))
	}
}
