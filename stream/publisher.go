package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/store"
)

// Bounds of the time between two sessions, twice as long with each failure, less a random part.
const (
	pauseMin = 100 * time.Millisecond
	pauseMax = 10 * time.Second
)

// Options says what is told and where.
type Options struct {
	Server
	Store   *store.Store
	Entries bool // tell the entries too
	Origins Origins
	RootAt  RootAt
	// Published returns the size of the ledger that is published, and a channel that is closed when that changes.
	Published func() (size uint64, changed <-chan struct{})
	Log       *zap.Logger
}

// Publisher tells a stream of every commit. Run is for one goroutine; Status may be called from any.
type Publisher struct {
	options Options
	reader  reader

	mu     sync.Mutex
	status Status
	told   bool // Size is that of this process, and not a guess
}

// Status is how far a publisher has come.
type Status struct {
	Size      uint64 // entries that the stream has, as far as it is known
	Connected bool
	CaughtUp  time.Time // everything that was published then has been told
	Messages  uint64    // that the server has taken
	Bytes     uint64    // of them
	Failures  uint64    // sessions that failed
	Skipped   uint64    // entries that were forgotten here before they were told
	Error     string    // why the newest session failed; empty while one lasts
}

// New returns a publisher. It connects to nothing before Run.
func New(o Options) *Publisher {
	p := &Publisher{options: o, reader: reader{store: o.Store, log: o.Origins.Log, entries: o.Entries}}
	p.status.CaughtUp = time.Now()
	return p
}

// Status returns how far it has come.
func (p *Publisher) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

func (p *Publisher) change(how func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how(&p.status)
}

// Run tells the stream of what is published, until ctx ends.
func (p *Publisher) Run(ctx context.Context) {
	for pause := pauseMin; ; pause = min(2*pause, pauseMax) {
		began, messages := time.Now(), p.Status().Messages
		err := p.session(ctx)
		if ctx.Err() != nil {
			return
		}
		p.failed(err)
		if time.Since(began) > pauseMax || p.Status().Messages > messages {
			pause = pauseMin // it had worked
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause/2)):
		}
	}
}

func (p *Publisher) failed(err error) {
	var before string
	p.change(func(s *Status) {
		before = s.Error
		s.Connected, s.Error = false, err.Error()
		s.Failures++
	})
	if before != err.Error() {
		p.options.Log.Error("the stream is not told of commits: they go on, and it is tried again", zap.Error(err))
	}
}

// session connects, finds out where the stream is, and tells it what follows until something fails.
func (p *Publisher) session(ctx context.Context) error {
	s, last, err := connect(ctx, &p.options.Server)
	if err != nil {
		return err
	}
	defer s.close()
	for {
		next, err := p.next(last)
		if err != nil {
			return err
		}
		p.resumed(next)
		if err = p.tell(ctx, s, next); !errors.Is(err, errShared) {
			return err
		}
		if s.single {
			return err
		}
		s.single = true
		if last, err = s.ask(ctx); err != nil {
			return err
		}
	}
}

// next returns the sequence number to go on from behind the last message of the subject; nil: there is none.
func (p *Publisher) next(last []byte) (uint64, error) {
	if last == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.told {
			return p.status.Size + 1, nil // the stream has dropped what it had: that is its business
		}
		return 1, nil
	}
	at, err := parsePosition(last)
	if err != nil {
		return 0, err
	}
	size, _ := p.options.Published()
	return p.options.Origins.resume(at, size, p.options.RootAt)
}

func (p *Publisher) resumed(next uint64) {
	var before string
	p.change(func(s *Status) {
		before = s.Error
		s.Connected, s.Error, s.Size = true, "", next-1
	})
	if before != "" {
		p.options.Log.Info("the stream is told of commits again", zap.Uint64("from", next))
	}
}

// tell tells the stream of everything from next on, as it is published.
func (p *Publisher) tell(ctx context.Context, s *session, next uint64) error {
	for {
		began := time.Now()
		size, changed := p.options.Published()
		if next > size {
			p.change(func(s *Status) { s.CaughtUp = began })
			select {
			case <-changed:
				continue
			case <-s.lost:
				return errLost
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := p.skip(&next); err != nil {
			return err
		}
		messages, err := p.reader.chunk(next, size, int(s.conn.MaxPayload()))
		if err == nil && len(messages) == 0 {
			err = fmt.Errorf("read the log from %d: it has no commit there, and %d entries are published", next, size)
		}
		if err != nil {
			return err
		}
		taken, err := s.publish(ctx, messages)
		for _, m := range messages[:taken] {
			next = m.next
			p.took(&m)
		}
		if err != nil {
			return err
		}
	}
}

// took counts a message that the server has.
func (p *Publisher) took(m *message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = true
	p.status.Size = m.next - 1
	p.status.Messages++
	p.status.Bytes += uint64(len(m.body))
}

// skip passes over what is no longer kept here, which is told: in the log, in a metric, and by the numbers
// that are missing in the stream.
func (p *Publisher) skip(next *uint64) error {
	tail, err := p.options.Store.Last()
	if err != nil || tail.First <= *next {
		return err
	}
	p.options.Log.Error("entries were forgotten here before the stream was told of them",
		zap.Uint64("first", *next), zap.Uint64("last", tail.First-1))
	p.change(func(s *Status) { s.Skipped += tail.First - *next })
	*next = tail.First
	return nil
}
