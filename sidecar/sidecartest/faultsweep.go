package sidecartest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/store"
)

// Incident is a fault of a file system at one of its operations.
type Incident struct {
	Name string
	// Fault is what becomes of the operation, for those that Hits selects (nil: all).
	Fault func(store.Op) store.Fault
	Hits  func(store.Op) bool
	// Lasting: so does every operation behind it that Hits selects, until the next start.
	Lasting bool
}

func isWrite(op store.Op) bool  { return op.Write }
func isSync(op store.Op) bool   { return op.Sync }
func isRead(op store.Op) bool   { return !op.Write }
func isClose(op store.Op) bool  { return op.Name == "close" }
func isRemove(op store.Op) bool { return op.Name == "remove" }
func isData(op store.Op) bool   { return op.Name == "write" && op.Bytes > 1 }

// isNaming selects what changes the name of a file.
func isNaming(op store.Op) bool {
	return op.Name == "rename" || op.Name == "link" || op.Name == "reuse"
}

// isOpening selects what takes a descriptor.
func isOpening(op store.Op) bool {
	return op.Name == "open" || op.Name == "create" || op.Name == "reuse"
}

// isLooking selects what looks for files.
func isLooking(op store.Op) bool { return op.Name == "list" || op.Name == "stat" }

// takesSpace selects what a full disk refuses.
func takesSpace(op store.Op) bool {
	switch op.Name {
	case "create", "write", "mkdir", "link", "preallocate", "rename":
		return true
	}
	return false
}

func reports(err error) func(store.Op) store.Fault {
	return func(store.Op) store.Fault { return store.Fault{Err: err} }
}

func doneBut(err error) func(store.Op) store.Fault {
	return func(store.Op) store.Fault { return store.Fault{Err: err, Done: true} }
}

func short(part func(n int) int) func(store.Op) store.Fault {
	return func(op store.Op) store.Fault { return store.Fault{Err: io.ErrShortWrite, Part: part(op.Bytes)} }
}

func half(n int) int      { return n / 2 }
func oneByte(int) int     { return 1 }
func allButOne(n int) int { return n - 1 }

// Incidents are what every operation of a run meets in turn.
var Incidents = []Incident{
	{Name: "fails, not done", Fault: reports(syscall.EIO)},
	{Name: "fails, though done", Fault: doneBut(syscall.EIO), Hits: isWrite},
	{Name: "reads fail for ever", Fault: reports(syscall.EIO), Hits: isRead, Lasting: true},
	{Name: "writes fail for ever", Fault: reports(syscall.EIO), Hits: isWrite, Lasting: true},
	{Name: "writes fail for ever, though done", Fault: doneBut(syscall.EIO), Hits: isWrite, Lasting: true},
	{Name: "syncs fail for ever, not done", Fault: reports(syscall.EIO), Hits: isSync, Lasting: true},
	{Name: "read-only from here", Fault: reports(syscall.EROFS), Hits: isWrite, Lasting: true},
	{Name: "disk full, once", Fault: reports(syscall.ENOSPC), Hits: takesSpace},
	{Name: "disk full from here", Fault: reports(syscall.ENOSPC), Hits: takesSpace, Lasting: true},
	{Name: "short write, half", Fault: short(half), Hits: isData},
	{Name: "short write, one byte", Fault: short(oneByte), Hits: isData},
	{Name: "short write, all but one", Fault: short(allButOne), Hits: isData},
	{Name: "syncs fail for ever, though done", Fault: doneBut(syscall.EIO), Hits: isSync, Lasting: true},
	{Name: "closes fail for ever, though done", Fault: doneBut(syscall.EIO), Hits: isClose, Lasting: true},
	{Name: "nothing can be removed from here", Fault: reports(syscall.EPERM), Hits: isRemove, Lasting: true},
	{Name: "nothing can be renamed or linked from here", Fault: reports(syscall.EPERM), Hits: isNaming, Lasting: true},
	{Name: "out of descriptors from here", Fault: reports(syscall.EMFILE), Hits: isOpening, Lasting: true},
	{Name: "lists and stats fail for ever", Fault: reports(syscall.EACCES), Hits: isLooking, Lasting: true},
	{Name: "quota exceeded, once", Fault: reports(syscall.EDQUOT), Hits: takesSpace},
	{Name: "interrupted, once", Fault: reports(syscall.EINTR)},
	{Name: "slow sync, 20 ms", Fault: func(store.Op) store.Fault { time.Sleep(20 * time.Millisecond); return store.Fault{} }, Hits: isSync},
}

// Outcome is what a run that met an incident came to.
type Outcome struct {
	Ops     int    // operations that the run had
	Op      string // the operation that was met first; empty when the run ended before
	At      int    // its number
	Stopped bool   // Fatal was called
	Failed  bool   // a start, a request or the end came back with an error
}

// sweeper counts the operations of a run and lets the incident meet one.
type sweeper struct {
	incident Incident
	at       int // the operation that it meets, from 1

	mu     sync.Mutex
	out    Outcome
	log    bool // it met the writing of the log
	behind bool // no more operations are met
}

func (w *sweeper) decide(op store.Op) store.Fault {
	w.mu.Lock()
	w.out.Ops++
	hits := !w.behind && w.out.Ops >= w.at && (w.incident.Hits == nil || w.incident.Hits(op)) && (w.out.Op == "" || w.incident.Lasting)
	if hits && w.out.Op == "" {
		w.out.Op, w.out.At = op.Name+" "+op.Path, w.out.Ops
	}
	w.log = w.log || hits && isWAL(op)
	w.mu.Unlock()
	if hits {
		return w.incident.Fault(op)
	}
	return store.Fault{}
}

// isWAL reports whether an operation makes a commit durable.
func isWAL(op store.Op) bool {
	return (op.Name == "write" || op.Sync) && strings.Contains(op.Path, "/log/") && strings.HasSuffix(op.Path, ".log")
}

// Sweep tells the story on an empty file system, in two lives with a clean stop behind each, and
// lets the incident meet operation number at, counted from 1, or the next that it hits. The
// ledger is then opened on what is left, once as the process left it and once with nothing kept
// that was not synced, held against what was acknowledged, audited, and goes on.
func (s *Story) Sweep(incident Incident, at int) (Outcome, error) {
	w := &sweeper{incident: incident, at: at}
	plain, done := store.NewCrashFS(), &progress{}
	ended := s.play(plain.Inject(w.decide), done)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.behind = true
	w.out.Stopped, w.out.Failed = errors.Is(ended, errStopped), ended != nil
	if ended != nil && !isForeseen(ended) {
		return w.out, fmt.Errorf("in the run: %w", ended)
	}
	if w.log && incident.fails() && ended == nil {
		return w.out, errors.New("a write of the log failed and the run went on as if it had not")
	}
	for _, percent := range []int{100, 0} {
		if _, err := s.Recover(plain.CrashClone(percent, 1), done); err != nil {
			return w.out, fmt.Errorf("opened again with %d %% of what was not synced (the run: %w): %w", percent, ended, err)
		}
	}
	return w.out, nil
}

// fails reports whether the incident makes an operation report an error.
func (i *Incident) fails() bool { return i.Fault(store.Op{Bytes: 2}).Err != nil }

// isForeseen reports whether a run may end so: it stopped itself, or said that it could not.
func isForeseen(err error) bool {
	for _, known := range []error{
		errStopped, errRefused, io.ErrShortWrite, syscall.EIO, syscall.EROFS, syscall.ENOSPC, syscall.EPERM, syscall.EMFILE,
		syscall.EACCES, syscall.EDQUOT, syscall.EINTR,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// Play tells the story on an empty file system, in two lives with a clean stop behind each.
func (s *Story) Play(fs *store.FS) error { return s.play(fs, new(progress)) }

// play tells the story on fs in two lives.
func (s *Story) play(fs *store.FS, at *progress) error {
	for range 2 {
		if err := s.live(fs, at); err != nil {
			return err
		}
	}
	return nil
}

func (s *Story) live(fs *store.FS, at *progress) error {
	l, err := s.begin(fs, "", at)
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := l.check(); err != nil {
		return fmt.Errorf("after the start: %w", err)
	}
	if err := l.tell((len(s.steps) + 1) / 2); err != nil {
		return err
	}
	if err := l.close(); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	return nil
}

// Recover opens the ledger on what a run left, holds it against what was acknowledged and sent,
// audits it, goes on with the story for a few steps, and closes and audits it. It returns the
// size that it found.
func (s *Story) Recover(fs *store.FS, before *progress) (uint64, error) {
	at := before.clone()
	l, err := s.begin(fs, "", at)
	if err != nil {
		return 0, err
	}
	if err := l.check(); err != nil {
		return 0, err
	}
	size := l.committer.Head().Size
	if at.strayed.Load() {
		return size, l.close()
	}
	if err := l.tell(6); err != nil {
		return size, fmt.Errorf("going on behind %d: %w", size, err)
	}
	if err := l.close(); err != nil {
		return size, fmt.Errorf("closing behind %d: %w", size, err)
	}
	return size, nil
}

func (p *progress) clone() *progress {
	c := new(progress)
	c.acked.Store(p.acked.Load())
	c.sent.Store(p.sent.Load())
	c.strayed.Store(p.strayed.Load())
	return c
}
