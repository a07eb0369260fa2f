package writers

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// Load is writers that append to a ledger which is killed, starved and stopped under them. Each
// keeps a journal of what it sent and what was acknowledged. The journals outlive every life of the
// ledger, so they are what the ledger that is left is held against.
type Load struct {
	Dial     func(ctx context.Context) (*client.Client, error)
	Pause    time.Duration // between two requests of a writer, and before a connection that replaces one; 0: as fast as it goes
	Memo     int           // bytes of a memo that make the entries longer
	Requests int           // that a writer makes; 0: as many as there is time for
	Entries  int           // of a request, at most; 0: 12
	Patience time.Duration // how long a writer waits for an answer, or for the end of its connection; 0: 2 minutes
	writers  []*writer
}

// New makes count writers, whose requests are drawn from seed.
func New(seed uint64, count int) *Load { return NewFrom(0, seed, count) }

// NewFrom makes count writers beside those of other loads: their numbers, which tell nonces and accounts
// apart, begin at first. The numbers of all are below 256.
func NewFrom(first int, seed uint64, count int) *Load {
	l := new(Load)
	for i := range count {
		l.writers = append(l.writers, &writer{load: l, number: first + i, random: rand.New(rand.NewPCG(seed, uint64(first+i)))})
	}
	return l
}

// At makes the load go to the socket of a home, with the token there.
func (l *Load) At(home string) *Load {
	l.Dial = func(ctx context.Context) (*client.Client, error) {
		return client.Dial(ctx, client.Options{
			Socket: filepath.Join(home, "ledger.sock"), TokenFile: filepath.Join(home, "token"), Name: "load", DialTimeout: time.Minute,
		})
	}
	return l
}

// writer sends requests in the order of its journal.
type writer struct {
	load   *Load
	number int
	random *rand.Rand
	count  uint64 // entries made

	mu      sync.Mutex // journal, and what the requests in it came to
	journal []*sent
	served  time.Time // when the newest request that is acknowledged was first sent
	err     error     // what no writer may be told
	refused map[wire.Reason]int
	broken  int // connections that were lost
}

// sent is a request in the journal of its writer.
type sent struct {
	batch   client.Batch
	nonces  []wire.Nonce
	tries   int           // how often it may have reached the ledger
	took    time.Duration // from the first try to the answer
	began   time.Time
	acked   bool
	seqs    []uint64 // of its entries, as acknowledged
	size    uint64
	root    merkle.Hash
	refused bool // by name, at least once: nothing was booked then
}

// window is how many requests of a writer are under way at once.
const window = 4

// Run lets all writers append until ctx ends, over as many connections as it takes. It returns
// once none is under way; what has no answer by then is unresolved in its journal.
func (l *Load) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, w := range l.writers {
		all.Go(func() { w.run(ctx, true) })
	}
	all.Wait()
}

// Settle sends again what is unresolved, until all of it is answered or ctx ends.
func (l *Load) Settle(ctx context.Context) error {
	errs := make([]error, len(l.writers))
	var all sync.WaitGroup
	for i, w := range l.writers {
		all.Go(func() {
			w.run(ctx, false)
			if left := w.unresolved(); left > 0 {
				errs[i] = fmt.Errorf("writer %d: %d requests are not answered", w.number, left)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// unresolved counts what has no answer.
func (w *writer) unresolved() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.journal {
		if !s.acked {
			n++
		}
	}
	return n
}

// more reports whether the writer may make another request.
func (w *writer) more() bool { return w.load.Requests == 0 || len(w.journal) < w.load.Requests }

// run goes from connection to connection, until nothing is left to be sent. Unless fresh is set
// that is what is unresolved.
func (w *writer) run(ctx context.Context, fresh bool) {
	for ctx.Err() == nil && (fresh && w.more() || w.unresolved() > 0) {
		c, err := w.load.Dial(ctx)
		if err == nil {
			err = w.over(ctx, c, fresh)
			_ = c.Close()
		}
		w.note(err)
		if err != nil && ctx.Err() == nil {
			time.Sleep(w.load.Pause + time.Duration(1+w.random.IntN(10))*time.Millisecond)
		}
	}
}

// note counts why a connection ended, and keeps what should not have been said.
func (w *writer) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var refused *client.ReasonError
	switch {
	case err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
	case errors.As(err, &refused):
		if w.refused == nil {
			w.refused = map[wire.Reason]int{}
		}
		w.refused[refused.Reason]++
	case errors.Is(err, client.ErrDisconnected) || errors.Is(err, client.ErrOutcomeUnknown):
		w.broken++
	default:
		w.err = cmp.Or(w.err, err)
	}
}

// over sends what is unresolved, one after the other and in order, and then new requests.
func (w *writer) over(ctx context.Context, c *client.Client, fresh bool) error {
	for _, s := range w.journal {
		if s.acked {
			continue
		}
		if err := w.await(ctx, s, w.send(ctx, c, s)); err != nil {
			return err
		}
	}
	type flight struct {
		*sent
		pending *client.Pending
	}
	var flights []flight
	var first error
	for first == nil && fresh && w.more() && ctx.Err() == nil {
		s := w.next()
		flights = append(flights, flight{s, w.send(ctx, c, s)})
		if len(flights) == window {
			first = w.await(ctx, flights[0].sent, flights[0].pending)
			flights = flights[1:]
		}
		time.Sleep(w.load.Pause)
	}
	for _, f := range flights {
		first = cmp.Or(first, w.await(ctx, f.sent, f.pending))
	}
	return first
}

func (w *writer) send(ctx context.Context, c *client.Client, s *sent) *client.Pending {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	s.tries++
	// What is in the journal is sent and waited for, even where the load was told to end just now.
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.load.patience())
	defer cancel()
	return c.Submit(sending, &s.batch)
}

// next makes a request: mints, and transfers of what it mints, so that no answer depends on
// another request. Every third is atomic.
func (w *writer) next() *sent {
	s := new(sent)
	entries := 1 + w.random.IntN(cmp.Or(w.load.Entries, 12))
	s.batch.Atomic = w.random.IntN(3) == 0
	if s.batch.Atomic {
		s.batch.IdemID = [16]byte{0: 0xa0, 1: byte(w.number)}
		binary.BigEndian.PutUint64(s.batch.IdemID[8:], w.count+1)
	}
	account := fmt.Sprintf("load/%d/%d", w.number, w.random.IntN(20))
	for i := range entries {
		w.count++
		f := wire.Fields{Kind: wire.KindMint, Account: account, Amount: wire.AmountOf(1 + w.count%97), Nonce: w.nonce(), Timestamp: 1_700_000_000_000}
		f.Memo = memoOf(w.load.Memo, w.count)
		if i%3 == 2 {
			f.Kind, f.Counterparty, f.Amount = wire.KindTransfer, fmt.Sprintf("load/%d/to", w.number), wire.AmountOf(1)
		}
		if err := s.batch.Add(&f); err != nil {
			panic("load made what is no entry: " + err.Error())
		}
		s.nonces = append(s.nonces, f.Nonce)
	}
	w.mu.Lock()
	w.journal = append(w.journal, s)
	w.mu.Unlock()
	return s
}

// nonce numbers the entries of all writers apart.
func (w *writer) nonce() (n wire.Nonce) {
	binary.BigEndian.PutUint32(n[:], uint32(w.number)+1)
	binary.BigEndian.PutUint64(n[8:], w.count)
	return n
}

// memoOf makes text that does not compress to nothing.
func memoOf(length int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 5))
	text := make([]byte, length)
	for i := range text {
		text[i] = byte('!' + random.IntN(90))
	}
	return text
}
