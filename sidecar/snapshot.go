package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/audit"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// snapshotter makes snapshots of a running ledger, one at a time.
type snapshotter struct {
	busy     atomic.Bool
	failures atomic.Uint64
	lastMs   atomic.Int64 // when the newest was complete, Unix ms; 0 = none was
	lastSize atomic.Uint64
	bytes    atomic.Uint64
	tookMs   atomic.Int64
}

// SnapshotStatus is what STATUS says of the newest snapshot since the start.
type SnapshotStatus struct {
	TimeMs int64   `json:"time_ms"`
	Size   uint64  `json:"size"`
	Bytes  uint64  `json:"bytes"`
	TookS  float64 `json:"took_s"`
}

func (s *snapshotter) status() *SnapshotStatus {
	if s.lastMs.Load() == 0 {
		return nil
	}
	return &SnapshotStatus{s.lastMs.Load(), s.lastSize.Load(), s.bytes.Load(), float64(s.tookMs.Load()) / 1e3}
}

// snapshotRetryAfter is for who finds another one under way.
const snapshotRetryAfter = 10 * time.Second

// startSnapshot answers SNAPSHOT, in a goroutine of its own.
func (ss *session) startSnapshot(id uint64, payload []byte) error {
	var m wire.Snapshot
	if fault := m.Decode(payload); !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	if _, fault := ss.authorised(capability.OpAdmin, time.Now()); !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	if m.ToArchive && ss.sidecar.archiver == nil {
		ss.out.fail(id, wire.Fault{Reason: wire.ReasonPolicyDenied, Detail: "no archive is configured: set archive.url or archive.dir"}, 0)
		return nil
	}
	if fault, retry := ss.sidecar.maySnapshot(); !fault.OK() {
		ss.out.fail(id, fault, retry)
		return nil
	}
	if !ss.countRead() {
		ss.sidecar.snapshots.busy.Store(false)
		ss.out.fail(id, wire.Fault{Reason: wire.ReasonBusy, Detail: "too many reads in progress on this connection"}, busyRetryAfter)
		return nil
	}
	ss.reads.Go(func() {
		defer ss.readers.Add(-1)
		defer ss.sidecar.snapshots.busy.Store(false)
		send := ss.sendSnapshot
		if m.ToArchive {
			send = ss.archiveSnapshot
		}
		if fault := send(id); !fault.OK() {
			ss.out.fail(id, fault, 0)
		}
	})
	return nil
}

// maySnapshot takes the one place, or says why there is none now.
func (s *Sidecar) maySnapshot() (wire.Fault, time.Duration) {
	switch {
	case s.config.Profile == Micronode:
		return wire.Fault{Reason: wire.ReasonPolicyDenied, Detail: "a micronode has nothing on disk: snapshots are for macronode"}, 0
	case s.disk.low.Load():
		return wire.Fault{Reason: wire.ReasonDiskPressure, Detail: "free disk space is below disk.reserve_bytes, and a snapshot holds back what could be freed"}, 0
	case !s.descriptorsFor(s.store.Metrics()):
		return wire.Fault{Reason: wire.ReasonBusy, Detail: "there are too few file descriptors to hold every table open: raise the limit (ulimit -n)"}, snapshotRetryAfter
	case !s.snapshots.busy.CompareAndSwap(false, true):
		return wire.Fault{Reason: wire.ReasonBusy, Detail: "another snapshot is under way: one is made at a time"}, snapshotRetryAfter
	}
	return wire.Fault{}, 0
}

// descriptorsFor reports whether every table can be held open once more, with as many descriptors
// left for all else.
func (s *Sidecar) descriptorsFor(m store.Metrics) bool {
	used, limit, err := peercred.Descriptors()
	return err == nil && uint64(used)+2*uint64(m.Log.Tables+m.State.Tables) < limit
}

// sendSnapshot streams a snapshot in frames.
func (ss *session) sendSnapshot(id uint64) wire.Fault {
	s, began := ss.sidecar, time.Now()
	out := &answerFrames{session: ss, header: wire.FrameHeader{Type: wire.FrameSnapshotAnswer, RequestID: id}, mayGoOn: s.diskLeft}
	m, err := s.snapshot(ss.ctx, func(m *SnapshotInfo, pack func(io.Writer) error) error { return pack(out) })
	if err == nil {
		err = out.end()
	}
	if err != nil {
		s.snapshots.failures.Add(1)
		return ss.failed("making a snapshot", err)
	}
	s.snapshots.made(m, out.total, began)
	s.log.Info("a snapshot was made", zap.Uint64("size", m.Size), zap.Uint64("bytes", out.total), zap.Duration("took", time.Since(began)))
	return wire.Fault{}
}

// made takes the figures of a snapshot that is complete.
func (s *snapshotter) made(m *SnapshotInfo, bytes uint64, began time.Time) {
	s.lastSize.Store(m.Size)
	s.bytes.Store(bytes)
	s.tookMs.Store(time.Since(began).Milliseconds())
	s.lastMs.Store(time.Now().UnixMilli())
}

// snapshot makes a snapshot of the running ledger, and has it packed to where put wants it.
func (s *Sidecar) snapshot(ctx context.Context, put func(m *SnapshotInfo, pack func(io.Writer) error) error) (m *SnapshotInfo, err error) {
	sn, m, err := takeSnapshot(s.config.Home, s.identity.signer.Name(), zap.NewNop())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sn.Close()) }()
	// What was frozen may have a commit that is being synced: it counts when it is acknowledged.
	for head := s.committer.Head(); head.Size < m.Size; head = s.committer.Head() {
		select {
		case <-head.Changed():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return m, put(m, func(w io.Writer) error { return packSnapshot(w, sn, m, s.identity.signer) })
}

// takeSnapshot freezes a home and says what it is, after the root at its end was computed again.
func takeSnapshot(home, origin string, log *zap.Logger) (*store.Snapshot, *SnapshotInfo, error) {
	m := &SnapshotInfo{Origin: origin, Version: Version()}
	sn, err := store.TakeSnapshot(store.Options{Dir: home, Logger: log, CacheBytes: 1 << 20, MemtableBytes: 1 << 20}, func(frozen *store.Store) error {
		tail, err := frozen.Last()
		if err != nil {
			return err
		}
		if err := frozen.StateErr(); err != nil {
			return fmt.Errorf("its derived state is of no use, start and stop the sidecar once: %w", err)
		}
		root, err := newProver(frozen).RootAt(tail.Size)
		if err == nil && tail.Size > 0 && root != merkle.Hash(tail.Root) {
			err = fmt.Errorf("the root at size %d is %x in the log, its records give %v: the log is damaged", tail.Size, tail.Root, root)
		}
		m.First, m.Size, m.Root, m.TimeMs, m.State = max(tail.First, 1), tail.Size, root, tail.TimeMs, frozen.Mark().Size
		return err
	})
	return sn, m, err
}

// diskLeft says why a snapshot may not go on holding back what could be freed.
func (s *Sidecar) diskLeft() error {
	if s.disk.low.Load() {
		return errors.New("free disk space fell below disk.reserve_bytes")
	}
	return nil
}

// SnapshotHome writes a snapshot of a ledger whose sidecar has stopped: it takes the home's lock. The
// manifest is signed with the node key there.
func SnapshotHome(home string, w io.Writer) (m *SnapshotInfo, err error) {
	lock, err := lockStopped(home)
	if err != nil {
		return nil, fmt.Errorf("%w: ask a running one over its socket", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	signer, err := homeSigner(home)
	if err != nil {
		return nil, fmt.Errorf("snapshot of %s: %w", home, err)
	}
	sn, m, err := takeSnapshot(home, signer.Name(), nil)
	if err != nil {
		return nil, fmt.Errorf("snapshot of %s: %w", home, err)
	}
	return m, errors.Join(packSnapshot(w, sn, m, signer), sn.Close())
}

// homeSigner returns what signs for the ledger in a home.
func homeSigner(home string) (note.Signer, error) {
	text, err := peercred.ReadPrivate(filepath.Join(home, nodeKeyFile), secretBytesMax)
	if err != nil {
		return nil, err
	}
	key, err := parseNodeKey(text)
	if err != nil {
		return nil, err
	}
	line, err := os.ReadFile(filepath.Join(home, vkeyFile))
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(string(bytes.TrimSpace(line)))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", vkeyFile, err)
	}
	name, _, kind, err := merkle.ParseOrigin(verifier.Name())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", vkeyFile, err)
	}
	id, err := LogIDOf(home)
	if err != nil {
		return nil, err
	}
	return merkle.NewSigner(merkle.Origin(name, id, kind), key)
}

// CheckSnapshot checks the checksums of a snapshot and, with a key, its signature.
func CheckSnapshot(r io.Reader, key note.Verifier) (*SnapshotInfo, error) {
	m, _, err := unpackSnapshot(r, "", key)
	return m, err
}

// VerifySnapshot checks a snapshot and audits the ledger in it as Verify does. For that it is unpacked
// into a folder of its own below scratch, which is removed. What is wrong is a *VerifyFinding.
func VerifySnapshot(ctx context.Context, r io.Reader, scratch string, key note.Verifier, progress func(done, size uint64)) (m *SnapshotInfo, report VerifyReport, err error) {
	dir, err := os.MkdirTemp(scratch, "snapshot-")
	if err != nil {
		return nil, report, fmt.Errorf("make room to unpack the snapshot: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if m, _, err = unpackSnapshot(r, dir, key); err != nil {
		return nil, report, &VerifyFinding{Err: err}
	}
	report, err = Verify(ctx, dir, progress)
	if errors.Is(err, audit.ErrPruned) {
		return m, report, nil
	}
	if err == nil && (report.Size != m.Size || report.Root != m.Root) {
		err = &VerifyFinding{Err: fmt.Errorf("the manifest says root %v at size %d, the log gives %v at %d", m.Root, m.Size, report.Root, report.Size)}
	}
	return m, report, err
}
