package spawn

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// serveWord makes this binary the sidecar, as `ledgerctl serve` is.
const serveWord = "serve"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveWord {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
		os.Exit(sidecar.Main(ctx, os.Args[2:]))
	}
	os.Exit(m.Run())
}

// TestServer starts a sidecar, ends it in both ways, starts it again on its home, and says why it does not
// start.
func TestServer(t *testing.T) {
	var said strings.Builder
	dir := t.TempDir()
	s, err := New(Options{Dir: dir, Name: "x", Command: []string{os.Args[0], serveWord}, Stderr: &said})
	if err != nil {
		t.Fatal(err)
	}
	s.Flags = []string{"--https", "127.0.0.1:0", "--log-level", "error"}
	var logID [16]byte
	for life := range 3 {
		if took, err := s.Start(t.Context()); err != nil || took <= 0 || s.PID() == os.Getpid() {
			t.Fatalf("%v, %v", took, err)
		}
		c, err := client.Dial(t.Context(), s.Client("test"))
		if err != nil {
			t.Fatal(err)
		}
		switch welcome := c.Welcome(); {
		case life == 0:
			logID = welcome.LogID
		case welcome.LogID != logID:
			t.Error("it is another ledger after a start")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if life == 0 {
			s.Kill()
			s.Kill() // nothing runs
		} else if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	s.Flags = []string{"--https", "nowhere"}
	if _, err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "it ended at once: exit status 2") || !strings.Contains(said.String(), "https.addr") {
		t.Errorf("a wrong configuration: %v\n%s", err, &said)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("where none runs: %v", err)
	}
	if err := s.Remove(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
