package sidecar

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// patience is how long something that comes about by itself may take on a busy machine.
const patience = time.Minute

// outer is a sidecar without its socket: a real store and committer in memory, and
// the parts that look outwards.
type outer struct {
	*Sidecar
	t  testing.TB
	fs *store.FS
	// commits are all roots that were published, in order: what /roots has to tell.
	commits  []store.RootRow
	nonces   uint64
	observed atomic.Uint64 // size up to which commits are counted: the publisher does so behind the answers
}

// newOuter starts one. configure may change the configuration first.
func newOuter(t testing.TB, configure func(*Config)) *outer {
	t.Helper()
	c := Defaults(Micronode)
	c.Home = filepath.Join(t.TempDir(), "home")
	c.HTTPS.Addr = "127.0.0.1:0"
	c.Window.Entries = 1 << 20
	if configure != nil {
		configure(c)
	}
	o := &outer{t: t, fs: store.Memory()}
	o.start(c)
	t.Cleanup(o.shut)
	return o
}

func (o *outer) start(c *Config) {
	o.t.Helper()
	must := func(err error) {
		o.t.Helper()
		if err != nil {
			o.t.Fatal(err)
		}
	}
	s := &Sidecar{config: c, log: zap.NewNop(), level: zap.NewAtomicLevel(), started: time.Now(), hash: merkle.Blake3}
	o.Sidecar = s
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.sessions.init()
	s.admission = newAdmission(2, 10, 1<<20)
	var err error
	s.home, err = openHome(c)
	must(err)
	s.store, err = store.Open(store.Options{Dir: "/ledger", FS: o.fs, Hash: uint8(s.hash), Fatal: func(what string) { panic(what) }})
	must(err)
	s.metrics = newMetrics(s)
	s.roots = newRootsSource(s)
	s.committer, err = committer.Open(s.store, committer.Options{
		CheckpointEntries: c.Checkpoint.IntervalEntries, WindowEntries: c.windowEntries(),
		NowMs: func() int64 { return time.Now().UnixMilli() }, NowNs: func() int64 { return int64(time.Since(s.started)) },
		Observe: func(info *committer.CommitInfo) {
			s.metrics.Observe(info)
			if info.Entries > 0 {
				head := s.committer.Head()
				s.roots.add(head)
				o.observed.Store(head.Size)
			}
		},
		Fatal: func(what string) { panic(what) },
	})
	must(err)
	must(s.identify())
	s.disk, err = startDiskWatcher(s)
	must(err)
	s.https, err = startHTTPS(s)
	must(err)
}

func (o *outer) shut() {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if o.Sidecar == nil {
		return
	}
	if err := o.release(ctx); err != nil {
		o.t.Error(err)
	}
	o.Sidecar = nil
}

// restart stops and starts again over the same store.
func (o *outer) restart() {
	o.t.Helper()
	c := o.config
	o.shut()
	o.start(c)
}

// until waits for something that comes about by itself.
func (o *outer) until(what string, so func() bool) {
	o.t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			o.t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// commit appends n entries as one commit and waits until it is published and counted.
func (o *outer) commit(n int) store.RootRow {
	o.t.Helper()
	r := &committer.Request{Origin: committer.Origin{Connection: 3, Request: o.nonces}, QueuedNs: o.sinceStart(time.Now())}
	for i := range n {
		o.nonces++
		f := wire.Fields{Kind: wire.KindMint, Account: "acct", Amount: wire.AmountOf(1 + uint64(i))}
		binary.BigEndian.PutUint64(f.Nonce[:], o.nonces)
		start := len(r.Records)
		var fault wire.Fault
		if r.Records, fault = wire.AppendEntry(r.Records, &f); !fault.OK() {
			o.t.Fatal(fault)
		}
		var stamp wire.Stamp
		r.Records = stamp.Append(r.Records)
		r.Indexes = append(r.Indexes, uint32(i))
		r.Ends = append(r.Ends, uint32(len(r.Records)))
		r.Leaves = append(r.Leaves, o.hash.Leaf(r.Records[start:]))
	}
	done := make(chan struct{})
	r.Complete = func(*committer.Request) { close(done) }
	if reason := o.committer.Submit(r); reason != 0 {
		o.t.Fatalf("submit: %v", reason)
	}
	<-done
	for o.observed.Load() < r.Size {
		time.Sleep(10 * time.Microsecond)
	}
	row := store.RootRow{Seq: r.Size, Root: r.Root, TimeMs: o.committer.Head().TimeMs}
	o.commits = append(o.commits, row)
	return row
}

// checkpoint waits until the state covers everything.
func (o *outer) checkpoint() {
	o.t.Helper()
	done := make(chan struct{})
	r := &committer.Request{Op: committer.OpCheckpoint, Complete: func(*committer.Request) { close(done) }}
	if reason := o.committer.Submit(r); reason != 0 {
		o.t.Fatalf("submit: %v", reason)
	}
	<-done
}

// filesUnder lists all files below a folder.
func filesUnder(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
