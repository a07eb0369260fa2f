package sidecartest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/model"
	"github.com/rustyonions/ron-ledger/store"
)

// Story is a list of requests that are sent one after the other, with the answer that the
// model gives to each and the root behind every entry. The log that it leaves is the same
// however it is cut into commits, so a log that was interrupted has to be a beginning of it.
type Story struct {
	Profile Profile
	Window  uint64 // entries that the ledger remembers; 0 = all
	steps   []storyStep
	roots   []merkle.Hash // by size
}

type storyStep struct {
	sent *model.Request
	want model.Answer
	size uint64 // of the ledger behind it
}

// NewStory asks the model for the answers. Steps without a request are left out.
func NewStory(profile Profile, steps []Step) (*Story, error) {
	r := &runner{profile: profile, ledger: model.New(), frontier: merkle.NewFrontier(profile.Hash)}
	r.roots = []merkle.Hash{profile.Hash.Empty()}
	s := &Story{Profile: profile}
	for i := range steps {
		if steps[i].Request == nil {
			continue
		}
		size := r.ledger.Size()
		step := storyStep{sent: steps[i].Request, want: r.ledger.Append(steps[i].Request)}
		if err := r.grow(step.sent, &step.want, size); err != nil {
			return nil, fmt.Errorf("tell step %d: %w", i, err)
		}
		step.size = r.ledger.Size()
		s.steps = append(s.steps, step)
	}
	s.roots = r.roots
	return s, nil
}

// Size returns the size of the ledger behind the last step.
func (s *Story) Size() uint64 { return uint64(len(s.roots)) - 1 }

// after returns the first step that is not covered by a ledger of that size. A size within
// a request is none that a ledger may have.
func (s *Story) after(size uint64) (int, error) {
	i, _ := slices.BinarySearchFunc(s.steps, size, func(step storyStep, size uint64) int {
		if step.size <= size {
			return -1
		}
		return 1
	})
	before := uint64(0)
	if i > 0 {
		before = s.steps[i-1].size
	}
	if before != size {
		return 0, fmt.Errorf("the log ends at %d, amid the request that reaches from %d to %d", size, before+1, s.steps[min(i, len(s.steps)-1)].size)
	}
	return i, nil
}

// progress is how far a story has come, over all lives of its ledger.
type progress struct {
	acked atomic.Uint64 // size that was acknowledged
	sent  atomic.Uint64 // size that the requests sent reach
	// strayed: a request was refused because a look-up failed, and others behind it may have
	// been booked, so that the log is that of the story only as far as it was acknowledged.
	strayed atomic.Bool
}

// life is one run of a ledger, from its start until it is closed, or stops, or is left.
type life struct {
	story     *Story
	store     *store.Store
	committer *committer.Committer
	at        *progress
	next      int // step to be sent

	died chan struct{} // closed by Fatal
	why  string        // set before died is closed
}

// lifeTimeout is how long a start, an answer or an end may take before it counts as hanging. A sweep of
// crashes recovers several ledgers behind every operation meanwhile.
const lifeTimeout = 5 * time.Minute

// errStopped means that the ledger stopped itself: Fatal was called.
var errStopped = errors.New("the ledger stopped")

// errRefused means that a request came back unbooked although the model books it.
var errRefused = errors.New("the request was refused")

// fatal does not return, as the store and the committer demand. The goroutine that called it
// stays where it is: what it holds locked has to stay so.
func (l *life) fatal() func(string) {
	calls := make(chan string, 1)
	return func(what string) {
		select {
		case calls <- what:
			l.why = what
			close(l.died)
		default:
		}
		select {}
	}
}

// begin opens the ledger on fs and puts the story where the log ends.
func (s *Story) begin(fs *store.FS, dir string, at *progress) (l *life, err error) {
	l = &life{story: s, at: at, died: make(chan struct{})}
	fatal := l.fatal()
	opened := make(chan error, 1)
	go func() {
		err := errStopped
		defer func() { opened <- err }()
		err = l.open(fs, dir, fatal)
	}()
	select {
	case err = <-opened:
	case <-l.died:
		err = fmt.Errorf("%w: %s", errStopped, l.why)
	case <-time.After(lifeTimeout):
		err = errors.New("no start within " + lifeTimeout.String())
	}
	return l, err
}

func (l *life) open(fs *store.FS, dir string, fatal func(string)) (err error) {
	p := &l.story.Profile
	l.store, err = store.Open(store.Options{
		Dir: dir, FS: fs, Hash: uint8(p.Hash), LogID: [16]byte{7}, Fatal: fatal, MemtableBytes: 256 << 10, CacheBytes: 1 << 20,
	})
	if err != nil {
		return err
	}
	var now int64
	l.committer, err = committer.Open(l.store, committer.Options{
		BatchMaxEntries: p.BatchMaxEntries, CheckpointEntries: p.CheckpointEntries, CacheAccounts: p.CacheAccounts,
		WindowEntries: l.story.Window, Fatal: fatal,
		NowMs: func() int64 { return 1_700_000_000_000 },
		NowNs: func() int64 { return now },
	})
	if err != nil {
		return errors.Join(err, l.store.Close())
	}
	return nil
}

// check holds a ledger that was just opened against what has to be there and may be there,
// and audits it.
func (l *life) check() error {
	head := l.committer.Head()
	switch {
	case l.committer.Loss() != nil:
		return fmt.Errorf("it opened in safe mode: %w", l.committer.Loss())
	case head.Size < l.at.acked.Load():
		return fmt.Errorf("LOST: the log ends at %d, %d was acknowledged", head.Size, l.at.acked.Load())
	case l.at.strayed.Load():
		return errors.Join(l.checkAcked(), l.audit())
	case head.Size > l.at.sent.Load():
		return fmt.Errorf("the log ends at %d, only %d was sent", head.Size, l.at.sent.Load())
	case head.Root != l.story.roots[head.Size]:
		return fmt.Errorf("the root at %d is not that of the records that were sent", head.Size)
	}
	var err error
	if l.next, err = l.story.after(head.Size); err != nil {
		return err
	}
	l.at.acked.Store(head.Size) // what is read at a start must stay
	return l.audit()
}

// checkAcked compares the roots of the commits that were acknowledged.
func (l *life) checkAcked() error {
	for c, err := range l.store.Commits(1) {
		if err != nil {
			return err
		}
		if size := c.Last(); size <= l.at.acked.Load() && l.story.roots[size] != c.Root {
			return fmt.Errorf("the root at %d is not that of the records that were acknowledged", size)
		}
	}
	return nil
}

func (l *life) audit() error {
	if l.story.Window > 0 {
		return nil
	}
	return CheckLedger(l.store)
}

// tell sends the next n steps, several at a time, and takes their answers.
func (l *life) tell(n int) error {
	end := min(l.next+n, len(l.story.steps))
	for l.next < end {
		flights := []*flight{}
		for range min(max(l.story.Profile.Pipeline, 1), end-l.next) {
			f, err := l.send(&l.story.steps[l.next], l.next)
			if err != nil {
				return err
			}
			l.next++
			flights = append(flights, f)
		}
		if err := l.awaitAll(flights); err != nil {
			return err
		}
	}
	return nil
}

// awaitAll takes the answers to requests that are under way together. When a look-up failed in
// one, a commit that it shares with those before it is not the story's.
func (l *life) awaitAll(flights []*flight) error {
	for _, f := range flights {
		if f.sent != nil && l.wait(f.done) == nil && f.Err != nil {
			l.at.strayed.Store(true)
		}
	}
	for _, f := range flights {
		if err := l.await(f); err != nil {
			return err
		}
	}
	return nil
}

// send admits a request and hands it over.
func (l *life) send(step *storyStep, number int) (*flight, error) {
	f := &flight{step: number + 1, sent: step.sent, want: step.want, size: step.size, done: make(chan struct{})}
	f.Atomic, f.IdemID = step.sent.Atomic, step.sent.IdemID
	f.Complete = func(*committer.Request) { close(f.done) }
	for i := range step.sent.Entries {
		f.admit(i, &step.sent.Entries[i], l.story.Profile.Hash)
	}
	l.at.sent.Store(max(l.at.sent.Load(), step.size))
	if len(f.Ends) == 0 || f.Atomic && len(f.Results) > 0 { // the session answers
		f.sent = nil
		return f, nil
	}
	if reason := l.committer.Submit(&f.Request); reason != 0 {
		return nil, fmt.Errorf("%w: %s", errRefused, reason)
	}
	return f, nil
}

func (l *life) await(f *flight) error {
	if f.sent == nil {
		return nil
	}
	if err := l.wait(f.done); err != nil {
		return err
	}
	if f.Err != nil { // a look-up failed: what the entry comes to is not known here
		return fmt.Errorf("%w: %w", errRefused, f.Err)
	}
	if err := f.compare(); err != nil {
		return err
	}
	shared := l.at.strayed.Load() && f.Size > f.size
	if !shared && (f.Size < f.size || f.Size > l.story.Size() || f.Root != l.story.roots[f.Size]) {
		return fmt.Errorf("step %d: covered by size %d with a root that the records up to %d do not give", f.step-1, f.Size, f.size)
	}
	l.at.acked.Store(max(l.at.acked.Load(), f.size))
	return nil
}

func (l *life) wait(done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	default:
	}
	select {
	case <-done:
		return nil
	case <-l.died:
		return fmt.Errorf("%w: %s", errStopped, l.why)
	case <-time.After(lifeTimeout):
		return errors.New("no answer within " + lifeTimeout.String())
	}
}

// close ends a life as a clean stop does. What is wrong with the ledger then is told apart
// from what went wrong in closing it.
func (l *life) close() error {
	ended := make(chan error, 1)
	go func() {
		err := errStopped
		defer func() { ended <- err }()
		if err = l.committer.Close(context.Background()); err == nil {
			err = errors.Join(l.audit(), l.store.Close())
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-l.died:
		return fmt.Errorf("%w: %s", errStopped, l.why)
	case <-time.After(lifeTimeout):
		return errors.New("no end within " + lifeTimeout.String())
	}
}
