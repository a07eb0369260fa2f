package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"go.uber.org/zap"
)

// Limits of one HTTPS connection.
const (
	headerTimeout    = 5 * time.Second // also of the handshake
	readTimeout      = 10 * time.Second
	writeAfterWait   = 30 * time.Second // to take an answer, behind the longest wait
	keepAliveTimeout = 2 * time.Minute
	headerBytesMax   = 16 << 10
	streamsMax       = 64   // of one HTTP/2 connection
	gzipBytesMin     = 1024 // below it gzip saves nothing
)

// httpsServer serves /roots and /metrics and nothing else, over TLS 1.3.
type httpsServer struct {
	server       http.Server
	listener     *cappedListener
	certificates *certificates
	clients      *clientCA
	roots        *rootsSource
	metrics      *metrics
	exposition   http.Handler
	log          *zap.Logger
	cancel       context.CancelFunc
	ended        sync.WaitGroup
}

// startHTTPS listens and serves.
func startHTTPS(s *Sidecar) (*httpsServer, error) {
	clients, err := loadClientCA(&s.config.TLS, s.log.Named("https"))
	if err != nil {
		return nil, err
	}
	listener, err := listenHTTPS(s.config.HTTPS.Addr)
	if err != nil {
		return nil, err
	}
	log := s.log.Named("https")
	h := &httpsServer{
		listener:     &cappedListener{Listener: listener},
		certificates: newCertificates(s.identity, log), clients: clients,
		roots: s.roots, metrics: s.metrics, exposition: s.metrics.handler(), log: log,
	}
	h.listener.max.Store(int64(s.config.HTTPS.MaxConnections))
	s.metrics.https = h
	return h, h.serve(s.ctx, s.config.HTTPS.MaxWait.Duration())
}

// listenHTTPS explains what to do about an address that cannot be had.
func listenHTTPS(addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen for HTTPS: another program has %s: choose another address with --https (port 0 takes any free one): %w", addr, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen for HTTPS: %s is no address of this machine: choose another with --https: %w", addr, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen for HTTPS: this user may not listen on %s: choose a port from 1024 up with --https: %w", addr, err)
	case err != nil:
		return nil, fmt.Errorf("listen for HTTPS: %w", err)
	}
	return listener, nil
}

// serve begins to answer. Waiting answers end with ctx.
func (h *httpsServer) serve(ctx context.Context, waitMax time.Duration) error {
	compressed, err := gzhttp.NewWrapper(gzhttp.MinSize(gzipBytesMin))
	if err != nil {
		return errors.Join(fmt.Errorf("serve HTTPS: %w", err), h.listener.Close())
	}
	ctx, h.cancel = context.WithCancel(ctx)
	h.server = http.Server{
		Handler:           compressed(http.HandlerFunc(h.route)),
		TLSConfig:         h.certificates.config(),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: waitMax + writeAfterWait, IdleTimeout: keepAliveTimeout,
		MaxHeaderBytes: headerBytesMax,
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: streamsMax},
		ErrorLog:       log.New(handshakeErrors{h}, "", 0),
		BaseContext:    func(net.Listener) context.Context { return ctx },
	}
	h.clients.configure(h.server.TLSConfig)
	h.ended.Go(func() { h.certificates.watch(ctx, certificatePoll) })
	h.ended.Go(func() { h.clients.watch(ctx, certificatePoll) })
	h.ended.Go(func() {
		if err := h.server.ServeTLS(h.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("HTTPS ended", zap.Error(err))
		}
	})
	return nil
}

// addr returns the address that is listened on.
func (h *httpsServer) addr() string { return h.listener.Addr().String() }

// close answers those who wait with what there is, and ends.
func (h *httpsServer) close(ctx context.Context) error {
	h.cancel()
	err := h.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("close HTTPS: %w", err), h.server.Close())
	}
	h.ended.Wait()
	return err
}

// route is the whole of what can be asked for. Paths are taken as they come: a
// redirect would be a third thing to answer.
func (h *httpsServer) route(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	counted := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	route := r.URL.Path
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch {
	case route != "/roots" && route != "/metrics":
		route = "other"
		problem(counted, http.StatusNotFound, "there is /roots and /metrics here, and nothing else")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		problem(counted, http.StatusMethodNotAllowed, r.URL.Path+" can be read with GET and HEAD, and nothing else")
	case !h.clients.admits(r, route):
		h.metrics.authFailed("tls")
		problem(counted, http.StatusForbidden, route+" needs a client certificate that tls.client_ca has signed")
	case route == "/roots":
		h.serveRoots(counted, r)
	default:
		h.exposition.ServeHTTP(counted, r)
	}
	h.metrics.http(route, r.Method, counted.status, time.Since(began))
}

// problem answers with what was wrong, for people.
func problem(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(strconv.Itoa(status) + ": " + text + "\n")) // a peer that is gone needs no answer
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// handshakeErrors counts the failed handshakes that net/http only writes to its
// log, and passes the rest on.
type handshakeErrors struct{ h *httpsServer }

func (e handshakeErrors) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if strings.Contains(text, "TLS handshake error") {
		e.h.metrics.tlsHandshakeFailures.Inc()
		e.h.log.Debug("handshake failed", zap.String("why", text))
	} else {
		e.h.log.Warn("HTTPS", zap.String("what", text))
	}
	return len(line), nil
}

// cappedListener closes connections beyond max at once, before a handshake costs
// anything.
type cappedListener struct {
	net.Listener
	max     atomic.Int64
	open    atomic.Int64
	refused atomic.Uint64
}

func (l *cappedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.max.Load() {
			return &cappedConn{Conn: conn, listener: l}, nil
		}
		l.open.Add(-1)
		l.refused.Add(1)
		_ = conn.Close() // it was never used
	}
}

// cappedConn gives its place back once.
type cappedConn struct {
	net.Conn
	listener *cappedListener
	closed   sync.Once
}

func (c *cappedConn) Close() error {
	c.closed.Do(func() { c.listener.open.Add(-1) })
	return c.Conn.Close()
}
