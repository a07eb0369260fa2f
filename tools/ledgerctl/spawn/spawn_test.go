package spawn

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/wire/client"
)

// TestMain makes this binary the sidecar where it is asked to be.
func TestMain(m *testing.M) {
	if words := len(Command); len(os.Args) > words && slices.Equal(os.Args[1:1+words], Command) {
		if err := Serve(context.Background(), os.Stdin, "", os.Args[slices.Index(os.Args, "--")+1:]); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestServer starts a sidecar, ends it in both ways, starts it again on its home, and says why it does not
// start.
func TestServer(t *testing.T) {
	var said strings.Builder
	dir := t.TempDir()
	s, err := New(Options{Dir: dir, Stderr: &said, Args: []string{"--https", "127.0.0.1:0", "--log-level", "error"}})
	if err != nil {
		t.Fatal(err)
	}
	var logID [16]byte
	for life := range 3 {
		if err := s.Start(t.Context()); err != nil || s.ReadyAfter <= 0 || s.PID() == os.Getpid() {
			t.Fatalf("%v, %v", s.ReadyAfter, err)
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
	s.Args = []string{"--https", "nowhere"}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "it ended at once: exit status 1") || !strings.Contains(said.String(), "https.addr is") {
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
