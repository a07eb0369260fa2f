//go:build clients

package sidecartest

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// beliefs are what a client holds true about the entries that it sent, by nonce.
type beliefs struct {
	Booked      map[string]uint64
	Rejected    []string
	Unknown     int // batches whose outcome is unknown at the end
	UnknownsMet int `json:"unknowns_met"` // of which it was unknown in between
	Resent      int
}

// TestClientsTorture has all clients append at once, over connections that are cut at
// random bytes, to a sidecar with short queues that is killed or stopped again and again
// while its token keys rotate. At the end the ledger holds exactly what each client
// believes, and no outcome is unknown. CLIENT_RESTARTS and CLIENT_SEED say how often
// and from which seed.
func TestClientsTorture(t *testing.T) {
	restarts, seed := number(t, "CLIENT_RESTARTS", 5), number(t, "CLIENT_SEED", time.Now().UnixNano()%1_000_000)
	t.Logf("%d restarts from seed %d", restarts, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	f := readFixture(t)
	p := f.start(t, map[string]string{
		"profile": "macronode", "queues.commit": "2", "queues.ingress": "2", "uds.max_inflight": "8",
		"limits.max_frame": "64KiB", "limits.inflight_bytes": "1MiB", "uds.frame_timeout": "1s",
	})
	socket := filepath.Join(p.Home, "ledger.sock")
	proxy := startCutProxy(t, socket, uint64(seed))
	tortured := startTortured(t, proxy.path, f.Token, uint32(seed))
	for i := range restarts {
		time.Sleep(time.Duration(100+random.IntN(400)) * time.Millisecond)
		if i%4 == 1 {
			f.rotate(t, p)
			time.Sleep(100 * time.Millisecond)
		}
		if i%2 == 0 {
			p.Kill()
		} else if exit := p.Stop(); exit != 0 {
			t.Fatalf("ron-ledgerd exits with %d\n%s", exit, p.Output())
		}
		time.Sleep(time.Duration(random.IntN(50)) * time.Millisecond)
		p = StartProcessEnv(t, p.bin, p.Home, p.command.Env)
	}
	time.Sleep(200 * time.Millisecond)
	proxy.spare() // so that each can come to an end
	// A client that met a restart behind every cut may be waiting out the longest pause that it makes, 2 s: it
	// goes on after that, or it has given up, which is what has to be seen.
	time.Sleep(3 * time.Second)
	told := tortured.stop()
	checkBeliefs(t, client.Options{Socket: socket, TokenFile: f.Token}, told)
	t.Logf("%d connections were cut", proxy.cuts.Load())
	if exit := p.Stop(); exit != 0 {
		t.Errorf("ron-ledgerd exits with %d", exit)
	}
	CheckHome(t, p.Home)
}

func number(t *testing.T, variable string, otherwise int64) int64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// rotate exchanges the key of the tokens as an operator does: the new one is taken into
// the keyring, a token under it is put where the clients read theirs, and then the old
// key goes.
func (f *fixture) rotate(t *testing.T, p *Process) {
	t.Helper()
	text, err := os.ReadFile(f.Keyring)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := capability.ParseKeyring(text)
	if err != nil {
		t.Fatal(err)
	}
	old, err := ring.Minting()
	if err != nil {
		t.Fatal(err)
	}
	text, err = os.ReadFile(f.Token)
	if err != nil {
		t.Fatal(err)
	}
	token, err := capability.ParseToken(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	key := capability.GenerateKey(old.Created + 1)
	if err := ring.Add(key); err != nil {
		t.Fatal(err)
	}
	if err := ring.Retire(old.KID); err != nil {
		t.Fatal(err)
	}
	f.install(t, p, ring)
	fresh, err := capability.Mint(key, inspected(t, token.Bytes()).Caveats...)
	if err != nil {
		t.Fatal(err)
	}
	awaitToken(t, filepath.Join(p.Home, "ledger.sock"), fresh)
	replace(t, f.Token, []byte(fresh.Text()+"\n"))
	if err := ring.Remove(old.KID); err != nil {
		t.Fatal(err)
	}
	f.install(t, p, ring)
}

func (f *fixture) install(t *testing.T, p *Process, ring *capability.Keyring) {
	t.Helper()
	replace(t, f.Keyring, ring.Marshal())
	if err := p.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// awaitToken waits until the sidecar takes a token.
func awaitToken(t *testing.T, socket string, token capability.Token) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var c *client.Client
		if c, err = client.Dial(t.Context(), client.Options{Socket: socket, Token: token.Bytes()}); err == nil {
			_ = c.Close()
			return
		}
	}
	t.Fatal(err)
}

// tortured are the clients under torture.
type tortured struct {
	t       *testing.T
	drivers map[string]*driver
	load    *goLoad
}

func startTortured(t *testing.T, socket, tokenFile string, seed uint32) *tortured {
	all := &tortured{t: t, drivers: map[string]*driver{}, load: newGoLoad(t, client.Options{Socket: socket, TokenFile: tokenFile}, seed)}
	for i, name := range slices.Sorted(maps.Keys(driven)) {
		d := startDriver(t, name)
		d.do(ask{Op: "torture", Socket: socket, TokenFile: tokenFile, Prefix: strings.ReplaceAll(name, "/", "-"), Seed: seed + uint32(i)})
		all.drivers[name] = d
	}
	return all
}

// stop ends the load and returns what each client believes.
func (all *tortured) stop() map[string]*beliefs {
	told := map[string]*beliefs{}
	for name, d := range all.drivers {
		told[strings.ReplaceAll(name, "/", "-")] = d.do(ask{Op: "stop"}).Beliefs
	}
	told["go"] = all.load.stop()
	return told
}

// checkBeliefs holds each entry of the ledger against what its client believes, and the
// other way round.
func checkBeliefs(t *testing.T, o client.Options, told map[string]*beliefs) {
	t.Helper()
	c, err := client.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	held := map[string]map[string]uint64{}
	for row, err := range c.Entries(t.Context(), 1, client.ToHead) {
		if err != nil {
			t.Fatal(err)
		}
		e := row.Record.Entry()
		owner, _, _ := strings.Cut(string(e.Account()), "/")
		nonce := e.Nonce()
		if held[owner] == nil {
			held[owner] = map[string]uint64{}
		}
		held[owner][hex.EncodeToString(nonce[:])] = row.Seq
	}
	for name, b := range told {
		t.Logf("%-15s believes that %d entries are booked and %d rejected; %d times an outcome was unknown, %d batches were sent again",
			name, len(b.Booked), len(b.Rejected), b.UnknownsMet, b.Resent)
		if b.Unknown != 0 {
			t.Errorf("%s: of %d batches the outcome is unknown", name, b.Unknown)
		}
		if !maps.Equal(held[name], b.Booked) {
			t.Errorf("%s believes that %d entries are booked, the ledger holds %d: %s", name, len(b.Booked), len(held[name]), difference(held[name], b.Booked))
		}
		for _, nonce := range b.Rejected {
			if seq := held[name][nonce]; seq != 0 {
				t.Errorf("%s believes that %s was rejected, and it is entry %d", name, nonce, seq)
			}
		}
		if len(b.Booked) == 0 || len(b.Rejected) == 0 {
			t.Errorf("%s did nothing", name)
		}
		delete(held, name)
	}
	if len(held) != 0 {
		t.Errorf("the ledger holds entries of others: %v", slices.Collect(maps.Keys(held)))
	}
}

func difference(held, believed map[string]uint64) string {
	for nonce, seq := range held {
		if believed[nonce] != seq {
			return nonce + " is entry " + strconv.FormatUint(seq, 10) + ", believed " + strconv.FormatUint(believed[nonce], 10)
		}
	}
	for nonce, seq := range believed {
		if held[nonce] != seq {
			return nonce + " is not there, believed entry " + strconv.FormatUint(seq, 10)
		}
	}
	return "nothing"
}

// goLoad is the load of the Go client: batches with short deadlines, and single entries
// through a Batcher.
type goLoad struct {
	t       *testing.T
	client  *client.Client
	batcher *client.Batcher
	random  *rand.Rand
	running sync.WaitGroup
	ending  chan struct{}
	told    beliefs
	singles map[string]client.Future
	unknown []*client.Batch
}

func newGoLoad(t *testing.T, o client.Options, seed uint32) *goLoad {
	l := &goLoad{
		t: t, random: rand.New(rand.NewPCG(uint64(seed), 1)), ending: make(chan struct{}), singles: map[string]client.Future{},
		told: beliefs{Booked: map[string]uint64{}},
	}
	var backoff client.Backoff
	for {
		var err error
		if l.client, err = client.Dial(t.Context(), o); err == nil {
			break
		}
		if _, again := client.Retryable(err); !again || backoff.Wait(t.Context(), 0) != nil {
			t.Fatal(err)
		}
	}
	var err error
	if l.batcher, err = client.NewBatcher(t.Context(), l.client, client.BatcherOptions{Size: 30, Inflight: 4}); err != nil {
		t.Fatal(err)
	}
	l.running.Go(l.run)
	return l
}

func (l *goLoad) stop() *beliefs {
	close(l.ending)
	l.running.Wait()
	l.batcher.Close()
	for nonce, future := range l.singles {
		booked, err := future.Wait(l.t.Context())
		if err != nil {
			l.t.Errorf("go: %v", err)
		}
		l.told.Booked[nonce] = booked.Seq
	}
	_ = l.client.Close()
	l.told.Unknown = len(l.unknown)
	return &l.told
}

func (l *goLoad) ended() bool {
	select {
	case <-l.ending:
		return true
	default:
		return false
	}
}

func (l *goLoad) run() {
	l.append(l.batch([]wire.Fields{{Kind: wire.KindMint, Account: "go/rich", Amount: wire.AmountOf(1 << 60)}}), 0)
	kinds := []wire.Fields{
		{Kind: wire.KindMint, Account: "go/a", Amount: wire.AmountOf(5)},
		{Kind: wire.KindTransfer, Account: "go/rich", Counterparty: "go/b", Amount: wire.AmountOf(1)},
		{Kind: wire.KindBurn, Account: "go/poor", Amount: wire.AmountOf(1)}, // it never has money
	}
	for (!l.ended() || len(l.unknown) > 0) && !l.t.Failed() {
		for _, b := range slices.Clone(l.unknown) {
			l.append(b, l.patience())
		}
		if l.ended() {
			continue
		}
		atomic := l.random.IntN(5) == 0
		fields := make([]wire.Fields, 1+l.random.IntN(40))
		for i := range fields {
			fields[i] = kinds[l.random.IntN(len(kinds))]
			if atomic {
				fields[i] = kinds[l.random.IntN(2)]
			}
		}
		b := l.batch(fields)
		b.Atomic = atomic
		l.append(b, l.patience())
		for range l.random.IntN(20) {
			l.single()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// patience is how long a batch may take; 0: as long as it takes.
func (l *goLoad) patience() time.Duration {
	if l.ended() {
		return 0
	}
	return time.Duration(10+l.random.IntN(990)) * time.Millisecond
}

func (l *goLoad) batch(entries []wire.Fields) *client.Batch {
	b := new(client.Batch)
	for i := range entries {
		entries[i].Nonce = client.NewNonce()
		if err := b.Add(&entries[i]); err != nil {
			l.t.Error(err)
		}
	}
	return b
}

func (l *goLoad) single() {
	f := wire.Fields{Kind: wire.KindMint, Account: "go/single", Amount: wire.AmountOf(1), Nonce: client.NewNonce()}
	future, err := l.batcher.Add(l.t.Context(), &f)
	if err != nil {
		l.t.Errorf("go: %v", err)
	}
	l.singles[hex.EncodeToString(f.Nonce[:])] = future
}

// append appends a batch and notes what is believed of its entries.
func (l *goLoad) append(b *client.Batch, patience time.Duration) {
	ctx, cancel := context.WithCancel(l.t.Context())
	if patience > 0 {
		ctx, cancel = context.WithTimeout(l.t.Context(), patience)
	}
	defer cancel()
	result, err := l.client.AppendRetry(ctx, b)
	if errors.Is(err, client.ErrOutcomeUnknown) || errors.Is(err, client.ErrDisconnected) || ctx.Err() != nil && err != nil {
		if errors.Is(err, client.ErrOutcomeUnknown) {
			l.told.UnknownsMet++
			// What is under way belongs to the client; a copy of its entries is sent again.
			b = l.copyOf(b)
		}
		if !slices.Contains(l.unknown, b) {
			l.unknown = append(l.unknown, b)
		}
		return
	}
	if err != nil {
		l.t.Errorf("go: %v", err)
		return
	}
	l.unknown = slices.DeleteFunc(l.unknown, func(other *client.Batch) bool { return other == b })
	if result.Resent {
		l.told.Resent++
	}
	for i, e := range b.All() {
		nonce := e.Nonce()
		switch seq, told := result.Outcome(i); {
		case seq != 0:
			l.told.Booked[hex.EncodeToString(nonce[:])] = seq
		case told != nil && told.Outcome == wire.OutcomeRejected:
			l.told.Rejected = append(l.told.Rejected, hex.EncodeToString(nonce[:]))
		default:
			l.t.Errorf("go: %v is neither booked nor rejected", nonce)
		}
	}
}

// copyOf takes the place of a batch among the unknown ones with a copy.
func (l *goLoad) copyOf(b *client.Batch) *client.Batch {
	l.unknown = slices.DeleteFunc(l.unknown, func(other *client.Batch) bool { return other == b })
	again := &client.Batch{Atomic: b.Atomic}
	for _, e := range b.All() {
		if err := again.AddRaw(e); err != nil {
			l.t.Error(err)
		}
	}
	return again
}
