package stream

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/archive/bucket/fakes3"
)

// TestTakeOverInSync tells a stream of a ledger whose archive is in sync, takes its object store away, and then has another
// sidecar take it over, with the old one undisturbed and connected: the stream is told of nothing that is not archived, so what
// it has is what the new one goes on with, in order and once.
func TestTakeOverInSync(t *testing.T) {
	s := startServer(t)
	s.makeStream(subject)
	cut := new(atomic.Bool)
	objects := httptest.NewServer(&fakes3.Faulty{Next: new(fakes3.Store), Decide: func(*http.Request) fakes3.Fault { return fakes3.Fault{Lost: cut.Load()} }})
	t.Cleanup(objects.Close)
	place := "s3://" + fakes3.Bucket + "/stream?timeout=1s&endpoint=" + objects.URL
	env := []string{"AWS_ACCESS_KEY_ID=any", "AWS_SECRET_ACCESS_KEY=any", "RON_LEDGER_ARCHIVE_MODE=sync"}
	l := newLedger(t, s, append(env, "RON_LEDGER_ARCHIVE_URL="+place)...)
	l.start()
	writers := l.load(4, 0)
	until(t, "some entries", func() bool { return writers.appended.Load() > 500 })
	cut.Store(true)
	c := l.dial()
	until(t, "commits to wait for the archive", func() bool { return l.status(c).Archive.Stalled })
	until(t, "the stream to be told of what is archived", func() bool { return l.status(c).Stream.LagEntries == 0 })
	first := l.status(c)
	time.Sleep(300 * time.Millisecond)
	then := l.status(c)
	_ = c.Close()
	if first.Archive.LagEntries == 0 || then.Stream.Size != first.Stream.Size || then.Stream.Size > then.Archive.Size {
		t.Errorf("without the archive the stream goes on: %+v, and then %+v", first, then)
	}
	cut.Store(false)
	more := writers.appended.Load() + 200
	until(t, "entries to be booked again", func() bool { return writers.appended.Load() > more })

	heir := newLedger(t, s, append(env, "RON_LEDGER_ARCHIVE_ADOPT="+place)...)
	if err := os.Mkdir(heir.home, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"node.key", "keyring"} {
		text, err := os.ReadFile(filepath.Join(l.home, name))
		if err := errors.Join(err, os.WriteFile(filepath.Join(heir.home, name), text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	heir.start()
	until(t, "the old one to find out", func() bool {
		said, err := os.ReadFile(l.log)
		return err == nil && strings.Contains(string(said), "another sidecar has taken this ledger over")
	})
	later := heir.load(4, 0)
	until(t, "entries at the new one", func() bool { return later.appended.Load() > 500 })
	writers.end()
	later.end()
	heir.bookLast()
	end := heir.caughtUp()
	heir.agrees(s.messages(subject))
	l.end(syscall.SIGKILL)
	t.Logf("%d entries, of which %d were acknowledged by the old one and %d by the new one", end.Size, writers.appended.Load(), later.appended.Load())
}
