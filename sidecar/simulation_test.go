package sidecar

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire/client"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// simCount is what a simulation went through.
type simCount struct {
	Ledgers, Lives, Crashes, Stops int
	Connections, Cuts, Reloads     int
	Acked, Entries, Resent         int
	Refused                        map[string]int
}

// simSetting reads a number from the environment.
func simSetting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return n
}

// TestSimulatedSidecar runs sidecars on a file system in memory that remembers what was synced, with
// sessions over pipes in memory, under a clock that is not the machine's: SIM_SIDECAR_CRASHES crashes,
// 40 unless told, from SIM_SEED, else from the clock, and ledger SIM_LEDGER of it. Several clients with retries append over
// connections that are cut and stall; the power goes behind a file operation; sidecars stop, start
// with another configuration, read keys again, and run out of space. Each crash and each stop is held
// against the journals of the clients, and audited. The seed decides; the order in which goroutines
// run does not follow from it.
func TestSimulatedSidecar(t *testing.T) {
	seed := simSetting(t, "SIM_SEED", uint64(time.Now().UnixNano())%1_000_000)
	crashes := int(simSetting(t, "SIM_SIDECAR_CRASHES", 40))
	t.Logf("SIM_SEED=%d SIM_SIDECAR_CRASHES=%d", seed, crashes)
	dir, err := os.MkdirTemp("", "rl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &simWorld{home: filepath.Join(dir, "h"), seed: seed, first: int(simSetting(t, "SIM_LEDGER", 1))}
	w.out.Refused = map[string]int{}
	defer w.watch()()
	synctest.Test(t, func(t *testing.T) {
		for told := 0; w.out.Crashes < crashes; {
			if err := w.ledger(crashes); err != nil {
				t.Fatalf("%s: %v", w.place(), err)
			}
			if w.out.Crashes >= told+simTellEvery {
				told = w.out.Crashes
				t.Logf("%s: %d crashes, %d entries acknowledged", w.place(), w.out.Crashes, w.out.Entries)
			}
		}
	})
	// Pebble keeps what it may use again, channels among it, and those belong to this bubble.
	runtime.GC()
	runtime.GC()
	t.Logf("%+v", w.out)
	if w.out.Acked == 0 || w.out.Cuts == 0 || w.out.Resent == 0 {
		t.Error("nothing was acknowledged, cut or sent again: the test has tested nothing")
	}
}

// simWorld is what lasts beyond the lives of sidecars.
type simWorld struct {
	*rand.Rand        // of the ledger under way: it follows from the seed and the ledger's number
	home       string // of the keys alone
	seed       uint64
	first      int // number of the ledger to begin with
	out        simCount
	at         atomic.Pointer[string] // place, for watch
}

// simTellEvery is after how many crashes a simulation says how far it is.
const simTellEvery = 200

// A life ends within simLifeMax of its own clock and simStuckMax of the machine's, of which it takes some
// hours and some milliseconds at most: what takes longer hangs.
const (
	simLifeMax  = 48 * time.Hour
	simStuckMax = 3 * time.Minute
)

// place says where the simulation is, in the words that repeat it from there.
func (w *simWorld) place() string {
	return fmt.Sprintf("SIM_SEED=%d SIM_LEDGER=%d, life %d", w.seed, w.first+w.out.Ledgers-1, w.out.Lives)
}

// lives notes that another life begins, and returns what is to be called at its end: a life whose own
// clock runs on without end is a panic that says which.
func (w *simWorld) lives() func() bool {
	w.out.Lives++
	place := w.place()
	w.at.Store(&place)
	return time.AfterFunc(simLifeMax, func() { simStuck(place, simLifeMax, "of its own clock") }).Stop
}

// watch is called outside of the simulation: a life in which the machine's clock alone runs on is a panic
// too.
func (w *simWorld) watch() (stop func()) {
	done := make(chan struct{})
	go func() {
		for before := (*string)(nil); ; {
			select {
			case <-done:
				return
			case <-time.After(simStuckMax):
			}
			now := w.at.Load()
			if now != nil && now == before {
				simStuck(*now, simStuckMax, "of the machine's clock")
			}
			before = now
		}
	}()
	return func() { close(done) }
}

// simStuck ends the process with the stacks of all goroutines.
func simStuck(place string, after time.Duration, clock string) {
	stacks := make([]byte, 4<<20)
	panic(fmt.Sprintf("%s hangs after %v %s\n%s", place, after, clock, stacks[:runtime.Stack(stacks, true)]))
}

// ledger lets one ledger live several times, and a last time to settle what is unresolved.
func (w *simWorld) ledger(crashes int) error {
	w.Rand = rand.New(rand.NewPCG(w.seed, uint64(w.first+w.out.Ledgers)))
	w.out.Ledgers++
	fs := store.NewCrashFS()
	network := &simNet{random: rand.New(rand.NewPCG(w.Uint64(), 1)), open: map[*simConn]struct{}{}, out: &w.out}
	load := writers.New(w.Uint64(), 1+w.IntN(4))
	load.Dial = func(ctx context.Context) (*client.Client, error) {
		return client.Dial(ctx, client.Options{Dial: network.dial, TokenFile: filepath.Join(w.home, TokenFile), Name: "simulated"})
	}
	for range 6 + w.IntN(10) {
		if w.out.Crashes >= crashes {
			break
		}
		load.Pause = time.Duration(1+w.IntN(40)) * time.Millisecond
		left, err := w.life(fs, network, load)
		if err != nil {
			return err
		}
		fs = left
	}
	return w.settle(fs, network, load)
}

// config draws what may change from start to start.
func (w *simWorld) config() *Config {
	c := Defaults(Macronode)
	c.Home = w.home
	c.Accumulator.LogID = "73696d756c617465642073696465636f"
	c.HTTPS.Addr = "127.0.0.1:0"
	c.Store.MemtableBytes, c.Store.CacheBytes = 256<<10, 1<<20
	c.Checkpoint.IntervalEntries, c.Commit.BatchMaxEntries = 1+w.IntN(100), 1+w.IntN(60)
	c.Queues.Commit, c.Queues.Ingress = 1+w.IntN(20), 1+w.IntN(20)
	c.UDS.MaxInflight, c.UDS.MaxConnections = 1+w.IntN(8), 2+w.IntN(6)
	c.UDS.FrameTimeout, c.UDS.WriteTimeout = Duration(time.Duration(1+w.IntN(10))*time.Second), Duration(time.Duration(1+w.IntN(10))*time.Second)
	c.Limits.InflightBytes = Size(8<<10 + w.IntN(64<<10))
	c.Disk.ReserveBytes = 1 << 20
	c.Cache.Accounts = w.IntN(20)
	return c
}

// start opens a sidecar on fs.
func (w *simWorld) start(fs *store.FS) (*Sidecar, error) {
	s := &Sidecar{config: w.config(), log: zap.NewNop(), started: time.Now(), requests: newRequestPool(), fs: fs}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.stopping = s.ctx.Done()
	s.sessions.init()
	var err error
	if s.home, err = openHome(s.config); err != nil {
		return s, err
	}
	if err := s.openLedger(); err != nil {
		return s, err
	}
	if loss := s.committer.Loss(); loss != nil {
		return s, fmt.Errorf("it opened in safe mode: %w", loss)
	}
	return s, s.startBehindDoors(context.Background())
}

// life runs one sidecar under the load until its power goes or it is stopped, and returns what the
// next begins with.
func (w *simWorld) life(fs *store.FS, network *simNet, load *writers.Load) (*store.FS, error) {
	defer w.lives()()
	outage := &outage{fs: fs, network: network, gone: make(chan struct{}), percent: []int{0, 25, 50, 75, 100}[w.IntN(5)], seed: w.Uint64()}
	if w.IntN(4) > 0 {
		outage.at = 1 + w.IntN(400)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { load.Run(ctx) })
	s, err := w.start(fs.Inject(outage.decide))
	if err == nil {
		network.listen(s)
		if outage.is() { // amid the start
			network.cut()
		}
		w.during(s, fs, outage.gone)
	}
	stopped := w.IntN(4) == 0 && !outage.is()
	if stopped {
		network.listen(nil)
		s.draining.Store(true)
	} else {
		outage.happens()
	}
	fs.SetDiskUsage(1<<40, 1<<40)
	err = errors.Join(err, s.release(context.Background()))
	network.cut()
	cancel()
	ended.Wait()
	if err != nil {
		return nil, err
	}
	left := fs.CrashClone(100, 0)
	if stopped {
		w.out.Stops++
	} else {
		w.out.Crashes++
		left = outage.left
	}
	return left, w.check(left, load)
}

// during lets time pass, a little or a lot, and things happen in it.
func (w *simWorld) during(s *Sidecar, fs *store.FS, gone <-chan struct{}) {
	for range 1 + w.IntN(4) {
		select {
		case <-gone:
			return
		case <-time.After(time.Duration(w.IntN(400)) * time.Millisecond):
		}
		switch w.IntN(5) {
		case 0:
			w.renewKeys(s)
		case 1:
			fs.SetDiskUsage(1<<10, 1<<40) // below the reserve at the next look
		case 2:
			fs.SetDiskUsage(1<<40, 1<<40)
		}
	}
}

// renewKeys adds a key to the keyring, which the sidecar reads again. The tokens of the others stay
// good.
func (w *simWorld) renewKeys(s *Sidecar) {
	path := filepath.Join(w.home, keyringFile)
	ring, err := LoadKeyring(path)
	if err != nil || len(ring.Keys()) > 6 {
		return
	}
	if err := ring.Add(capability.GenerateKey(time.Now().Unix())); err != nil {
		return
	}
	if writeFile(path, ring.Marshal(), 0o600) == nil {
		w.out.Reloads++
		s.keys.nudge <- struct{}{}
	}
}

// check holds what was left against the journals, on a copy.
func (w *simWorld) check(left *store.FS, load *writers.Load) error {
	s, err := store.Open(store.Options{Dir: w.home, FS: left.CrashClone(100, 0), MemtableBytes: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	return errors.Join(sidecartest.HoldLoad(load, s), s.Close())
}

// settle starts the ledger a last time, has the clients send again what is unresolved, stops it, and
// audits it.
func (w *simWorld) settle(fs *store.FS, network *simNet, load *writers.Load) error {
	defer w.lives()()
	fs.SetDiskUsage(1<<40, 1<<40)
	s, err := w.start(fs)
	if err != nil {
		return errors.Join(err, s.release(context.Background()))
	}
	network.listen(s)
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour) // of the clock that is not the machine's
	defer cancel()
	err = load.Settle(ctx)
	network.listen(nil)
	s.draining.Store(true)
	if err := errors.Join(err, s.release(context.Background())); err != nil {
		return err
	}
	network.cut()
	count, _ := load.Count()
	w.out.Acked += count.Acked
	w.out.Entries += count.Entries
	w.out.Resent += count.Resent
	for reason, n := range count.Refused {
		w.out.Refused[reason.String()] += n
	}
	return w.check(fs.CrashClone(100, 0), load)
}

// outage takes the power from a sidecar behind a file operation, or when it is told to.
type outage struct {
	fs      *store.FS
	network *simNet
	at      int // operation; 0: none
	percent int // of what was not synced that is left
	seed    uint64
	gone    chan struct{} // closed when the power is gone

	mu    sync.Mutex
	count int
	left  *store.FS
}

func (o *outage) decide(store.Op) store.Fault {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count++; o.count != o.at {
		return store.Fault{}
	}
	return store.Fault{After: o.happens}
}

// happens cuts all connections first: what a client is told afterwards never was.
func (o *outage) happens() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left == nil {
		o.network.cut()
		o.left = o.fs.CrashClone(o.percent, o.seed)
		close(o.gone)
	}
}

func (o *outage) is() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.left != nil
}
