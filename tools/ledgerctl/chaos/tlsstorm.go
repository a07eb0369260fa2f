package chaos

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	stormMax     = 64                     // https.max_connections
	stormHeld    = 56                     // connections that are kept: more than 80 % of it
	stormWorkers = 16                     // that connect, ask and go: together more than it
	stormGarbage = 2                      // that send what is no handshake
	stormTimeout = 5 * time.Second        // of one connection
	stormRetry   = 2 * time.Millisecond   // where the port is full
	stormPause   = 500 * time.Microsecond // between two connections of a worker: the sidecar shares our processors
	stormRequest = "GET /roots?limit=1 HTTP/1.1\r\nHost: chaos\r\nConnection: close\r\n\r\n"
	stormNoise   = "this is no handshake\r\n"
	stormAlert   = 0.8
	stormMin     = 10 // handshakes, below which it was no storm
)

// tlsStorm connects to the HTTPS port again and again, with a whole handshake each or, with Options.Resume, resuming
// sessions, while most of its connections are taken and others send what is no handshake.
func tlsStorm() attack {
	return attack{
		name: "tls-storm", do: doStorm, amid: true, resume: true,
		config: fmt.Sprintf("[https]\nmax_connections = %d\n", stormMax),
		moved: []expectation{
			passes("LedgerConnectionsFull", "https_connections", "https_connections_max", stormAlert),
			rises("", "tls_handshake_failures_total"),
			rises("", "https_connections_refused_total"),
		},
	}
}

// storm is what the workers share.
type storm struct {
	address          string
	roots            *x509.CertPool
	resume           bool
	handshakes       atomic.Int64
	resumed, refused atomic.Int64
	noise            atomic.Int64
}

func doStorm(ctx context.Context, r *run) error {
	address, err := r.httpsAddress(ctx)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(r.server.Home, "tls.crt"))
	if err != nil {
		return err
	}
	s := &storm{address: address, roots: x509.NewCertPool(), resume: r.options.Resume}
	if !s.roots.AppendCertsFromPEM(text) {
		return errors.New("the sidecar's certificate is none")
	}
	attacking, end := r.lasting(ctx)
	defer end()
	var all sync.WaitGroup
	for range stormHeld {
		all.Go(func() { s.hold(attacking) })
	}
	for range stormWorkers {
		all.Go(func() { s.work(attacking) })
	}
	for range stormGarbage {
		all.Go(func() { s.garble(attacking) })
	}
	<-attacking.Done()
	since := time.Now()
	all.Wait()
	r.recovered(ctx, since)
	r.reportStorm(s)
	r.check("HTTPS answers again", s.answers(ctx, since.Add(r.options.Within)), "/roots, with a whole handshake")
	return nil
}

// reportStorm says what the storm was, and whether sessions were resumed as was asked.
func (r *run) reportStorm(s *storm) {
	handshakes, resumed := s.handshakes.Load(), s.resumed.Load()
	r.report.did("handshakes", int(handshakes))
	r.report.did("of them resumed", int(resumed))
	r.report.did("connections refused", int(s.refused.Load()))
	r.report.did("that are no handshake", int(s.noise.Load()))
	var err error
	switch {
	case handshakes < stormMin:
		err = fmt.Errorf("%d handshakes are no storm", handshakes)
	case s.resume && resumed < handshakes/2:
		err = fmt.Errorf("%d of %d handshakes resumed a session", resumed, handshakes)
	case !s.resume && resumed > 0:
		err = fmt.Errorf("%d handshakes resumed a session that nobody kept", resumed)
	}
	r.check("handshakes as asked for", err, fmt.Sprintf("%d, %d of them resumed", handshakes, resumed))
}

// config is that of a worker, with a memory of sessions of its own.
func (s *storm) config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: s.roots, NextProtos: []string{"http/1.1"}}
	if s.resume {
		c.ClientSessionCache = new(session)
	}
	return c
}

// session keeps the newest session of a worker, also when the port turns a connection away: package tls
// forgets it then.
type session struct {
	newest atomic.Pointer[tls.ClientSessionState]
}

// Get and Put are those of tls.ClientSessionCache.
func (s *session) Get(string) (*tls.ClientSessionState, bool) {
	newest := s.newest.Load()
	return newest, newest != nil
}

func (s *session) Put(_ string, state *tls.ClientSessionState) {
	if state != nil {
		s.newest.Store(state)
	}
}

// hold keeps a connection until ctx ends.
func (s *storm) hold(ctx context.Context) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: stormTimeout}, Config: s.config()}
	for ctx.Err() == nil {
		conn, err := dialer.DialContext(ctx, "tcp", s.address)
		if err != nil {
			pause(ctx, stormRetry)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		_, _ = io.Copy(io.Discard, conn)
		stop()
		_ = conn.Close()
	}
}

// work connects, asks and goes, again and again.
func (s *storm) work(ctx context.Context) {
	config := s.config()
	for ctx.Err() == nil {
		resumed, err := s.ask(ctx, config)
		switch {
		case err != nil && ctx.Err() == nil:
			s.refused.Add(1)
			pause(ctx, stormRetry)
		case err == nil:
			s.handshakes.Add(1)
			if resumed {
				s.resumed.Add(1)
			}
			pause(ctx, stormPause)
		}
	}
}

// ask makes one request over a connection of its own. The ticket of a session comes before the answer.
func (s *storm) ask(ctx context.Context, config *tls.Config) (resumed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, stormTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, stormRequest); err != nil {
		return false, err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && len(answer) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return conn.(*tls.Conn).ConnectionState().DidResume, err
}

// garble sends what is no handshake.
func (s *storm) garble(ctx context.Context) {
	for ctx.Err() == nil {
		conn, err := net.DialTimeout("tcp", s.address, stormTimeout)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(stormTimeout))
			_, _ = io.WriteString(conn, stormNoise)
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
			s.noise.Add(1)
		}
		pause(ctx, 10*stormRetry)
	}
}

// answers asks until the port answers, or it is too late.
func (s *storm) answers(ctx context.Context, until time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for {
		_, err := s.ask(ctx, (&storm{roots: s.roots}).config())
		if err == nil || !pause(ctx, stormRetry) {
			return err
		}
	}
}
