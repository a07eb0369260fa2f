package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// ExitUnknownState is the exit status after the log failed: what is on disk is
// unknown, nothing was acknowledged since, and the next start decides.
const ExitUnknownState = 70

// Sidecar is a running ledger: its store, its committer, its socket and its HTTPS
// port.
type Sidecar struct {
	config *Config
	log    *zap.Logger
	level  zap.AtomicLevel // of log

	inForce     atomic.Pointer[Config] // nil: config
	configText  atomic.Pointer[[]byte] // of the file, as it was read last
	reloading   sync.Mutex             // one at a time
	loadAgain   func() (*Config, error)
	reloaded    atomic.Pointer[Reloaded] // the last time; nil: never
	descriptors descriptors

	started  time.Time
	home     *home
	failed   *Failure // of an earlier run on this home; nil: none
	identity *Identity
	keys     *tokenKeyFiles
	logID    [16]byte // of the epoch in force
	epoch    uint64
	hash     merkle.HashKind

	fs        *store.FS // that the store lives on; nil: the disk
	store     *store.Store
	committer *committer.Committer
	listener  *peercred.Listener
	https     *httpsServer
	roots     *rootsSource
	metrics   *metrics
	disk      *diskWatcher
	headSync  *headSyncer
	scrub     *scrubber // nil: there is none
	archiver  *archiver // nil: there is no archive
	streamer  *streamer // nil: no stream is told
	syncing   *syncing  // nil: commits do not wait for it
	snapshots snapshotter
	slowest   slowest
	flight    *flightRecorder
	profiling atomic.Bool // one profile or trace is taken at a time

	admission *admission
	requests  *sync.Pool

	ctx      context.Context // ends when the sidecar stops
	stop     context.CancelFunc
	stopping <-chan struct{}
	draining atomic.Bool
	accept   sync.WaitGroup
	watchers sync.WaitGroup // end with ctx
	sessions sessionTable

	turnedAway chan struct{} // a place for each peer that is told why it is not served
	refusals   rareLine      // in the log, of connections
	failing    sync.Mutex    // held from a failure on to the end of the process
}

// Run starts a sidecar and serves until ctx ends; then it drains, for shutdown.timeout at
// most, and returns. It is how a ledger lives in the process of an application or a test:
// config is what Defaults returns, with a Home of its own. The process may run several.
// Nothing is taken from the process, as ron-ledgerd does with Harden; but where config has a
// memory.limit it is the limit of the whole process, and a log whose state is unknown ends
// the process with ExitUnknownState. For tests, package wire/client/clienttest wraps it.
func Run(ctx context.Context, config *Config) error {
	s, err := Start(ctx, config)
	if err != nil {
		return err
	}
	<-ctx.Done()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.live().Shutdown.Timeout.Duration())
	defer cancel()
	return s.Close(closing)
}

// Start opens the ledger at the configured home, recovers it and serves it. ctx
// bounds the start alone. The caller MUST call Close.
func Start(ctx context.Context, config *Config) (_ *Sidecar, err error) {
	s := &Sidecar{config: config, started: time.Now(), requests: newRequestPool()}
	if s.log, s.level, err = newLogger(config); err != nil {
		return nil, err
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.stopping = s.ctx.Done()
	s.sessions.init()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.release(ctx))
		}
	}()
	if config.Profile == Micronode {
		s.fs = store.Memory()
	}
	if limit := config.softMemoryLimit(); limit > 0 {
		debug.SetMemoryLimit(int64(limit))
	}
	if err := adopt(ctx, config, s.log); err != nil {
		return nil, err
	}
	if s.home, err = openHome(config); err != nil {
		return nil, err
	}
	if err := s.openLedger(); err != nil {
		return nil, err
	}
	if err := s.openDoors(ctx); err != nil {
		return nil, err
	}
	s.logStart()
	return s, nil
}

// openLedger opens the store, recovers the ledger and loads its keys.
func (s *Sidecar) openLedger() error {
	var err error
	if s.hash, err = merkle.ParseHashKind(s.config.Accumulator.Hash); err != nil {
		return fmt.Errorf("read accumulator.hash: %w", err)
	}
	if s.store, err = store.Open(s.storeOptions()); err != nil {
		return err
	}
	s.hash = merkle.HashKind(s.store.Meta().Hash)
	s.failed = s.home.lastFailure()
	s.metrics = newMetrics(s)
	s.roots = newRootsSource(s)
	s.syncing = newSyncing(s)
	var durable func(size uint64)
	if s.syncing != nil {
		durable = s.syncing.grown
	}
	s.committer, err = committer.Open(s.store, committer.Options{
		QueueRequests: s.config.Queues.Commit, BatchMaxEntries: s.config.Commit.BatchMaxEntries,
		CheckpointEntries: s.config.Checkpoint.IntervalEntries, CacheAccounts: s.config.Cache.Accounts,
		FilterBytes: int(s.config.Idempotency.FilterBytes), WindowEntries: s.config.windowEntries(),
		NowMs:   func() int64 { return time.Now().UnixMilli() },
		NowNs:   func() int64 { return s.sinceStart(time.Now()) },
		Observe: s.observe, Durable: durable, Fatal: s.fatal, Log: s.log.Named("committer"),
	})
	if err != nil {
		return err
	}
	if err := s.identify(); err != nil {
		return err
	}
	return s.resumeStable()
}

// resumeStable takes up the stable series. What it has published and the ledger does
// not hold makes the ledger read-only.
func (s *Sidecar) resumeStable() error {
	key, err := note.NewVerifier(s.identity.VerifyKey)
	if err != nil {
		return fmt.Errorf("read the verifier key: %w", err)
	}
	loss, err := s.roots.stable.load(key, s.committer.Head().Size, s.roots.prover.RootAt)
	if loss != nil {
		s.committer.EnterSafeMode(loss)
	}
	return err
}

// identify loads the keys, which are those of the epoch in force.
func (s *Sidecar) identify() (err error) {
	epoch := s.committer.Epoch()
	s.logID, s.epoch = epoch.LogID, epoch.Number
	if s.identity, err = s.home.identity(s.config, s.logID, s.hash); err != nil {
		return err
	}
	s.keys = newTokenKeyFiles(s.home, s.config, s.identity, s.log)
	s.roots.signer.key = s.identity.signer
	return nil
}

func (s *Sidecar) storeOptions() store.Options {
	logID, _ := s.config.logID() // checked by validate
	return store.Options{
		Dir: s.config.Home, FS: s.fs, LogID: logID, Compression: s.config.Store.Compression, Hash: uint8(s.hash),
		MemtableBytes: int64(s.config.Store.MemtableBytes), CacheBytes: int64(s.config.Store.CacheBytes),
		Logger: s.log.Named("store"), Fatal: s.fatal,
	}
}

// openDoors begins to serve, when everything behind the doors is ready.
func (s *Sidecar) openDoors(ctx context.Context) error {
	if err := s.boundConnections(); err != nil {
		return err
	}
	if err := s.startBehindDoors(ctx); err != nil {
		return err
	}
	var err error
	if s.https, err = startHTTPS(s); err != nil {
		return err
	}
	uds := &s.config.UDS
	if s.listener, err = peercred.Listen(s.config.socketPath(), peercred.ListenOptions{Mode: uds.Mode.FileMode(), DirMode: uds.DirMode.FileMode()}); err != nil {
		return err
	}
	s.accept.Go(s.acceptLoop)
	return nil
}

// startBehindDoors starts what serves connections, wherever they come from.
func (s *Sidecar) startBehindDoors(ctx context.Context) (err error) {
	s.admission = newAdmission(s.config.Concurrency.Prevalidators, s.config.Queues.Ingress, int64(s.config.Limits.InflightBytes))
	if s.disk, err = startDiskWatcher(s); err != nil {
		return err
	}
	s.headSync = startHeadSyncer(s)
	if s.archiver, err = newArchiver(s); err != nil {
		return err
	}
	if err := s.roots.bodies.open(s); err != nil {
		return err
	}
	if s.archiver != nil {
		if err := s.archiver.start(ctx); err != nil {
			return err
		}
	}
	if s.streamer, err = newStreamer(s); err != nil {
		return err
	}
	if s.streamer != nil {
		s.streamer.start()
	}
	s.scrub = startScrubber(s)
	s.watchers.Go(func() { s.keys.watch(s.ctx, tokenKeysPoll) })
	s.flight = startFlightRecorder(s)
	return nil
}

// acceptLoop takes connections: credentials first, then the limits, before a byte
// is read.
func (s *Sidecar) acceptLoop() {
	var failed, denied, crowded rareLine
	for id := uint64(1); ; id++ {
		conn, peer, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.metrics.denied()
			if left, due := failed.due(time.Now()); due {
				s.log.Warn("connection refused", zap.Error(err), left)
			}
			if refused := new(peercred.RefusedError); !errors.As(err, &refused) {
				time.Sleep(acceptPause) // out of descriptors, perhaps: do not spin
			}
			continue
		}
		if err := s.policy().Check(peer); err != nil {
			s.metrics.denied()
			if left, due := denied.due(time.Now()); due {
				s.log.Warn("connection denied", zap.Error(err), left)
			}
			s.turnAway(conn, wire.ReasonUnauth, err.Error())
			continue
		}
		if why := s.sessions.admit(conn, peer, &s.live().UDS); why != "" {
			s.metrics.denied()
			if left, due := crowded.due(time.Now()); due {
				s.log.Warn("connection turned away", zap.Uint32("uid", peer.UID), zap.Int32("pid", peer.PID), zap.String("why", why), left)
			}
			s.turnAway(conn, wire.ReasonBusy, why)
			continue
		}
		s.sessions.running.Go(func() {
			defer s.sessions.leave(conn, peer)
			s.serve(conn, peer, id)
		})
	}
}

// policy says which peers may connect.
func (s *Sidecar) policy() *peercred.Policy {
	uds := &s.live().UDS
	policy := &peercred.Policy{UIDs: uds.AllowUIDs, GIDs: uds.AllowGIDs}
	if len(policy.UIDs)+len(policy.GIDs) > 0 {
		policy.UIDs = append(slices.Clip(policy.UIDs), uint32(os.Geteuid())) // for probes, which need no token
	}
	return policy
}

const acceptPause = 10 * time.Millisecond

// fatal ends the process when the state of the log is unknown. It does not return. What fails then fails in several places
// at once: the first one tells, and the others wait for the end.
func (s *Sidecar) fatal(what string) {
	s.failing.Lock()
	if s.metrics != nil { // nil while the store opens
		s.metrics.logFailed()
	}
	s.log.Error("the state of the ledger is unknown: stopping without acknowledging anything", zap.String("why", what))
	_ = s.log.Sync()
	s.home.keepFailure(time.Now(), what)
	os.Exit(ExitUnknownState)
}

// observe takes the figures of a commit.
func (s *Sidecar) observe(info *committer.CommitInfo) {
	if info.Entries > 0 {
		s.roots.add(s.committer.Head())
		s.admission.wrote(info.ReleasedNs - info.SealedNs)
	}
	s.slowest.observe(info)
	s.flight.observe(info)
	s.metrics.Observe(info)
}

// sinceStart turns a time into monotonic nanoseconds.
func (s *Sidecar) sinceStart(t time.Time) int64 { return int64(t.Sub(s.started)) }

// refusal says in words why appends are refused.
func (s *Sidecar) refusal(reason wire.Reason) string {
	switch reason {
	case wire.ReasonBusy:
		if s.syncing != nil && s.syncing.stalled.Load() {
			return "commits wait for the archive, which cannot be written (archive.mode = sync): try again later"
		}
		return "the commit queue is full, or this uid's share of it (queues.commit): try again later"
	case wire.ReasonDraining:
		return "the sidecar is shutting down: connect again"
	case wire.ReasonDiskPressure:
		return "free disk space is below disk.reserve_bytes: appends are refused until there is more"
	case wire.ReasonSafeMode:
		if s.archiver != nil && s.archiver.fenced.Load() {
			return "the ledger is read-only here: another sidecar has taken it over: connect to that one"
		}
		if loss := s.committer.Loss(); loss != nil {
			return "the ledger is read-only: " + loss.What + ": stop it and run ledgerctl recover"
		}
	}
	return reason.String()
}

// Socket returns the path of the Unix-domain socket.
func (s *Sidecar) Socket() string { return s.config.socketPath() }

// HTTPSAddr returns the address of the HTTPS port.
func (s *Sidecar) HTTPSAddr() string { return s.https.addr() }

// welcome returns what every WELCOME says.
func (s *Sidecar) welcome() wire.Welcome {
	head := s.committer.Head()
	return wire.Welcome{
		MaxFrame:             uint32(s.config.Limits.MaxFrame),
		MaxEntriesPerRequest: uint32(s.live().Limits.MaxEntriesPerRequest),
		LogID:                s.logID, Epoch: s.epoch, Head: wire.Head{Size: head.Size, Root: head.Root, TimeMs: head.TimeMs},
		ServerName: s.config.Name, HashName: s.hash.String(), Profile: s.config.Profile, VerifyKey: s.identity.VerifyKey,
	}
}
