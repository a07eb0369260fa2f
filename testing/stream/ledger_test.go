package stream

import (
	"context"
	"encoding/json"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// ledger is a sidecar that tells a stream.
type ledger struct {
	process
	home string
}

func newLedger(t *testing.T, s *server, env ...string) *ledger {
	t.Helper()
	dir := shortDir(t)
	l := &ledger{home: filepath.Join(dir, "home")}
	l.process = process{
		t: t, path: built.daemon, args: []string{"--home", l.home, "--https", "127.0.0.1:0", "--log-format", "json"}, log: filepath.Join(dir, "log"),
		env: append([]string{"RON_LEDGER_STREAM_NATS_URL=" + s.url()}, env...),
	}
	t.Cleanup(func() { l.end(syscall.SIGKILL) })
	return l
}

// dial connects, and waits for the sidecar to be there.
func (l *ledger) dial() *client.Client {
	l.t.Helper()
	var c *client.Client
	until(l.t, "the sidecar to answer", func() bool {
		ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Second)
		defer cancel()
		var err error
		c, err = client.Dial(ctx, l.options())
		return err == nil
	})
	return c
}

func (l *ledger) options() client.Options {
	return client.Options{Socket: filepath.Join(l.home, "ledger.sock"), TokenFile: filepath.Join(l.home, "token")}
}

// status is what is read of STATUS.
type status struct {
	Size     uint64
	Degraded string
	Archive  struct {
		Size       uint64
		LagEntries uint64 `json:"lag_entries"`
		Stalled    bool
	}
	Stream struct {
		Connected  bool
		Size       uint64
		LagEntries uint64 `json:"lag_entries"`
		Messages   uint64
		Error      string
	}
}

func (l *ledger) status(c *client.Client) (s status) {
	l.t.Helper()
	text, err := c.Status(l.t.Context())
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// caughtUp waits until the stream has been told of everything.
func (l *ledger) caughtUp() status {
	l.t.Helper()
	c := l.dial()
	defer func() { _ = c.Close() }()
	var s status
	until(l.t, "the stream to be told of everything", func() bool {
		s = l.status(c)
		return s.Stream.Connected && s.Stream.LagEntries == 0
	})
	return s
}

// batch makes count entries.
func batch(t *testing.T, count, memo int) *client.Batch {
	b := new(client.Batch)
	for range count {
		if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "bank", Amount: wire.AmountOf(1), Nonce: client.NewNonce(), Memo: make([]byte, memo)}); err != nil {
			t.Error(err)
		}
	}
	return b
}

// load appends from several connections until it is stopped, over restarts of the sidecar.
type load struct {
	appended atomic.Uint64
	stop     context.CancelFunc
	writers  sync.WaitGroup
}

func (l *ledger) load(writers, memo int) *load {
	ctx, stop := context.WithCancel(l.t.Context())
	load := &load{stop: stop}
	l.t.Cleanup(stop)
	for i := range writers {
		load.writers.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				b := batch(l.t, 1+(i+n)%5, memo)
				for ctx.Err() == nil && !l.append(ctx, b, load) {
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	return load
}

// append sends a batch on a connection of its own until it is answered or the connection breaks, and then a few more.
func (l *ledger) append(ctx context.Context, b *client.Batch, load *load) bool {
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := client.Dial(within, l.options())
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	if _, err := c.AppendRetry(within, b); err != nil {
		return false
	}
	load.appended.Add(uint64(b.Len()))
	for range 50 {
		more := batch(l.t, 1+b.Len()%7, 0)
		if _, err := c.AppendRetry(within, more); err != nil {
			return true // what was in flight is in the ledger or not: the stream has to say the same as the ledger
		}
		load.appended.Add(uint64(more.Len()))
	}
	return true
}

func (l *load) end() {
	l.stop()
	l.writers.Wait()
}

// bookLast books an entry on a connection that is welcomed behind what those before it have sent: behind it nothing of theirs
// is booked any more.
func (l *ledger) bookLast() {
	l.t.Helper()
	c := l.dial()
	defer func() { _ = c.Close() }()
	if _, err := c.AppendRetry(l.t.Context(), batch(l.t, 1, 0)); err != nil {
		l.t.Fatal(err)
	}
}

// told is a message.
type told struct {
	Log, Root string
	Seq, Size uint64
	TS        int64
	Entries   []json.RawMessage
}

// agrees holds the messages against the roots of the ledger: one for each commit, in order, none missing, none
// twice.
func (l *ledger) agrees(bodies [][]byte) {
	l.t.Helper()
	c := l.dial()
	defer func() { _ = c.Close() }()
	next, since := uint64(1), uint64(0)
	for len(bodies) > 0 {
		roots, err := c.Roots(l.t.Context(), since, 1000, 0)
		if err != nil {
			l.t.Fatal(err)
		}
		if len(roots.Roots) == 0 {
			l.t.Fatalf("%d messages are behind the last commit, the first is %s", len(bodies), bodies[0])
		}
		for _, root := range roots.Roots {
			if len(bodies) == 0 {
				l.t.Fatalf("there is no message of the commit at %d", root.Size)
			}
			var m told
			if err := json.Unmarshal(bodies[0], &m); err != nil {
				l.t.Fatalf("%s: %v", bodies[0], err)
			}
			if m.Seq != next || m.Size != root.Size || m.Root != hexOf(root.Root) || m.TS != root.TimeMs {
				l.t.Fatalf("%s is told where the commit is %d to %d, root %x at %d", bodies[0], next, root.Size, root.Root, root.TimeMs)
			}
			bodies, next = bodies[1:], root.Size+1
		}
		since = roots.Next
	}
	if head := l.status(c).Size; next != head+1 {
		l.t.Fatalf("the stream ends at %d, the ledger at %d", next-1, head)
	}
}
