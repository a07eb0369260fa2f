package store

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// TestFatalfNeverReturns: Pebble returns success from a failed commit when its logger's Fatalf
// returns, so ours does not even if Options.Fatal does. It fails when failure.fatal returns.
func TestFatalfNeverReturns(t *testing.T) {
	called := ""
	f := failure{report: func(msg string) { called = msg }}
	l := logger{log: zap.NewNop().Sugar(), fatal: f.fatal}
	defer func() {
		if cause := recover(); cause == nil || called == "" || !f.thrown.Load() {
			t.Errorf("recovered %v, reported %q, thrown %t", cause, called, f.thrown.Load())
		}
	}()
	l.Fatalf("commit of %d: %s", 7, "lost")
	t.Error("Fatalf returned")
}

// TestFirstWALTellsDamageFromItsEnd: every chunk of the WAL that the first commits of a new ledger
// go to has the newest format, which says how far the WAL was synced. It fails when createEngine
// does not close the new database before it is used, since Open makes the first WAL before it raises
// the format.
func TestFirstWALTellsDamageFromItsEnd(t *testing.T) {
	const typeAt, walSyncFull, walSyncLast = 6, 9, 12
	fs := NewCrashFS()
	s := open(t, Options{FS: fs})
	defer closeStore(t, s)
	mustAppend(t, s, newLedger(1).commit(3, 200))
	paths, err := fs.Files("/ledger/log")
	if err != nil {
		t.Fatal(err)
	}
	chunks := 0
	for _, path := range paths {
		b, err := fs.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(path, ".log") || len(b) == 0 {
			continue
		}
		chunks++
		if kind := b[typeAt]; kind < walSyncFull || kind > walSyncLast {
			t.Errorf("%s begins with a chunk of type %d, want %d..%d", path, kind, walSyncFull, walSyncLast)
		}
	}
	if chunks == 0 {
		t.Error("no WAL was found")
	}
}

// TestFailingDiskAtTheEnd lets the WAL fail when Close changes to a new one, in each way in which
// that can fail: Fatal is called. It fails, with a stack trace of Pebble, when the guard does not meet
// the failure.
func TestFailingDiskAtTheEnd(t *testing.T) {
	for _, name := range []string{"write", "sync", "create", "close"} {
		t.Run(name, func(t *testing.T) {
			armed, fatal := make(chan struct{}), make(chan string, 16)
			fs := Memory().Faulty(func(op Op) bool {
				select {
				case <-armed:
					return op.Name == name && strings.HasPrefix(op.Path, "/ledger/log") && (strings.HasSuffix(op.Path, ".log") || op.Path == "/ledger/log")
				default:
					return false
				}
			})
			s := open(t, Options{FS: fs, Fatal: func(msg string) { fatal <- msg; select {} }})
			mustAppend(t, s, newLedger(1).commit(3, 200))
			close(armed)
			closed := make(chan error, 1)
			go func() { closed <- s.Close() }()
			select {
			case msg := <-fatal:
				t.Log(msg)
			case err := <-closed:
				t.Errorf("closed: %v", err)
			case <-time.After(time.Minute):
				t.Error("neither closed nor stopped within a minute")
			}
		})
	}
}

// TestFailingDiskAtTheStart lets every write fail from the n-th of a start on, for every n: the
// start ends, with an error or by Fatal.
func TestFailingDiskAtTheStart(t *testing.T) {
	base := NewCrashFS()
	s := open(t, Options{FS: base})
	l := newLedger(1)
	mustAppend(t, s, l.commit(300, 200))
	mustCheckpoint(t, s, l.checkpoint(0))
	mustAppend(t, s, l.commit(300, 200))
	killed := base.CrashClone(100, 1)
	closeStore(t, s)
	for n, ended := 1, false; !ended; n += 3 {
		fatal, opened := make(chan string, 16), make(chan error, 1)
		ops := make(chan int, 1)
		ops <- 0
		fs := killed.CrashClone(100, 1).Faulty(func(op Op) bool {
			if !op.Write {
				return false
			}
			count := <-ops + 1
			ops <- count
			return count >= n
		})
		go func() {
			_, err := Open(Options{FS: fs, Fatal: func(msg string) { fatal <- msg; select {} }})
			opened <- err // a store that is open stays so: closing it would write
		}()
		select {
		case <-fatal:
		case err := <-opened:
			ended = err == nil
		case <-time.After(time.Minute):
			t.Fatalf("the start with writes failing from %d on neither ends nor stops within a minute", n)
		}
	}
}
