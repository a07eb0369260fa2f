// Package stream holds the commit stream against a real nats-server: servers and sidecars are
// processes, which are killed.
package stream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const patience = time.Minute

// programs are built once.
type programs struct{ nats, daemon, ctl string }

var built programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rls-bin")
	if err == nil {
		built = programs{filepath.Join(dir, "nats-server"), filepath.Join(dir, "ron-ledgerd"), filepath.Join(dir, "ledgerctl")}
		err = errors.Join(goBuild(".", built.nats, "github.com/nats-io/nats-server/v2"), goBuild("../..", built.ctl, "./tools/ledgerctl"), os.Link(built.ctl, built.daemon))
	}
	status := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		status = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

func goBuild(dir, out, target string) error {
	command := exec.Command("go", "build", "-o", out, target)
	command.Dir, command.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", target, err, text)
	}
	return nil
}

// shortDir is a folder whose path leaves room for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rls")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// process is one that is started again and again with the same arguments.
type process struct {
	t    *testing.T
	path string
	args []string
	env  []string
	log  string // file that takes what it says
	run  *exec.Cmd
}

func (p *process) start() {
	p.t.Helper()
	log, err := os.OpenFile(p.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	p.run = exec.Command(p.path, p.args...)
	p.run.Env, p.run.Stdout, p.run.Stderr = append(os.Environ(), p.env...), log, log
	if err := p.run.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// end sends a signal and waits for the end.
func (p *process) end(signal syscall.Signal) {
	p.t.Helper()
	if p.run == nil || p.run.ProcessState != nil {
		return
	}
	_ = p.run.Process.Signal(signal)
	ended := make(chan error, 1)
	go func() { ended <- p.run.Wait() }()
	select {
	case <-ended:
	case <-time.After(patience):
		_ = p.run.Process.Kill()
		<-ended
		p.t.Errorf("%s does not end", p.path)
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.run.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// server is a nats-server with JetStream.
type server struct {
	process
	dir, port string
	options   []nats.Option
}

// freePort returns a port that nobody has, below those that the system gives to who asks for any: a server that is killed
// finds it free again, whoever connects to something meanwhile.
func freePort(t *testing.T) string {
	t.Helper()
	for {
		port := strconv.Itoa(20_000 + rand.IntN(10_000))
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err == nil {
			err = listener.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
}

// startServer starts one, with further lines of configuration.
func startServer(t *testing.T, more ...string) *server {
	t.Helper()
	port := freePort(t)
	s := &server{dir: shortDir(t), port: port}
	config := fmt.Sprintf("listen: 127.0.0.1:%s\njetstream { store_dir: %q }\n%s\n", port, filepath.Join(s.dir, "store"), strings.Join(more, "\n"))
	path := filepath.Join(s.dir, "conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.process = process{t: t, path: built.nats, args: []string{"-c", path}, log: filepath.Join(s.dir, "log")}
	s.start()
	t.Cleanup(func() {
		s.end(syscall.SIGKILL)
		if t.Failed() {
			text, _ := os.ReadFile(s.log)
			t.Logf("nats-server:\n%.4000s", text)
		}
	})
	return s
}

func (s *server) url() string { return "nats://127.0.0.1:" + s.port }

// connect returns a client of our own, when the server answers.
func (s *server) connect() (*nats.Conn, jetstream.JetStream) {
	s.t.Helper()
	var conn *nats.Conn
	until(s.t, "nats-server to answer", func() bool {
		var err error
		conn, err = nats.Connect(s.url(), s.options...)
		return err == nil
	})
	s.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn, js
}

// makeStream makes the stream LEDGER.
func (s *server) makeStream(subjects ...string) jetstream.JetStream {
	s.t.Helper()
	_, js := s.connect()
	if _, err := js.CreateStream(s.t.Context(), jetstream.StreamConfig{Name: "LEDGER", Subjects: subjects}); err != nil {
		s.t.Fatal(err)
	}
	return js
}

// messages returns what is on a subject, in order, in a stream where every message is still there.
func (s *server) messages(subject string) (bodies [][]byte) {
	s.t.Helper()
	_, js := s.connect()
	stream, err := js.Stream(s.t.Context(), "LEDGER")
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := stream.Info(s.t.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		s.t.Fatal(err)
	}
	count := int(info.State.Subjects[subject])
	consumer, err := stream.OrderedConsumer(s.t.Context(), jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		s.t.Fatal(err)
	}
	for len(bodies) < count {
		batch, err := consumer.Fetch(min(count-len(bodies), 500), jetstream.FetchMaxWait(patience))
		if err != nil {
			s.t.Fatal(err)
		}
		for m := range batch.Messages() {
			bodies = append(bodies, m.Data())
		}
		if err := batch.Error(); err != nil {
			s.t.Fatal(err)
		}
	}
	return bodies
}

// until waits for something.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", patience, what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
