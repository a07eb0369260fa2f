package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// requestTimeout bounds the wait for an answer of the server.
	requestTimeout = 5 * time.Second
	// ackTimeout bounds the wait for the server to take one more message.
	ackTimeout = 15 * time.Second
	// pingInterval is how often a silent connection is tried; the second ping without an answer ends it.
	pingInterval = 5 * time.Second
)

// Server says where the stream is.
type Server struct {
	URL         string // nats:// or tls://; several with commas between them
	Subject     string
	Credentials string // file with a JWT and its seed; empty: none
	CA          string // file with the certificates to trust, PEM; empty: those of the system
	Cert, Key   string // files with a client certificate and its key, PEM; empty: none
	Name        string // under which the server lists the connection
}

// session is one connection, and what is known of the stream while it lasts. It is for one goroutine.
type session struct {
	conn    *nats.Conn
	js      jetstream.JetStream
	subject string
	stream  string
	lost    chan struct{} // closed with the connection

	// Invariant: the last message of the subject is the one with that sequence number in the stream (0 =
	// there is none), as far as this session knows; lastID is its id if this session has published it.
	last   uint64
	lastID string
	single bool // others publish in the stream: one message at a time
}

// connect opens a session, and returns the last message of the subject; nil where there is none.
func connect(ctx context.Context, o *Server) (s *session, last []byte, err error) {
	s = &session{subject: o.Subject, lost: make(chan struct{})}
	options := append(o.options(), nats.ClosedHandler(func(*nats.Conn) { close(s.lost) }))
	if s.conn, err = nats.Connect(o.URL, options...); err != nil {
		return nil, nil, fmt.Errorf("connect to NATS: %w", err)
	}
	defer func() {
		if err != nil {
			s.conn.Close()
		}
	}()
	if s.conn.MaxPayload() < payloadMin {
		return nil, nil, fmt.Errorf("the server takes messages of at most %d bytes, and %d are needed: raise its max_payload", s.conn.MaxPayload(), payloadMin)
	}
	if s.js, err = jetstream.New(s.conn, jetstream.WithPublishAsyncMaxPending(chunkMessages), jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		return nil, nil, fmt.Errorf("use JetStream: %w", err)
	}
	last, err = s.ask(ctx)
	return s, last, err
}

// options are those of a connection that is not repaired: a session ends with it.
func (o *Server) options() []nats.Option {
	options := []nats.Option{
		nats.Name(o.Name), nats.NoReconnect(), nats.Timeout(requestTimeout), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(ackTimeout),
	}
	if o.Credentials != "" {
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	if o.CA != "" {
		options = append(options, nats.RootCAs(o.CA))
	}
	if o.Cert != "" {
		options = append(options, nats.ClientCert(o.Cert, o.Key))
	}
	if o.CA != "" || o.Cert != "" {
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	return options
}

// ask finds the stream and the last message of the subject.
func (s *session) ask(ctx context.Context) (last []byte, err error) {
	if s.stream, err = s.js.StreamNameBySubject(ctx, s.subject); err != nil {
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			err = fmt.Errorf("%w: make one, such as: nats stream add LEDGER --subjects %s", err, s.subject)
		}
		return nil, fmt.Errorf("find the stream of subject %s: %w", s.subject, err)
	}
	stream, err := s.js.Stream(ctx, s.stream)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", s.stream, err)
	}
	s.last, s.lastID = 0, ""
	m, err := stream.GetLastMsgForSubject(ctx, s.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the last message of subject %s: %w", s.subject, err)
	}
	s.last = m.Sequence
	return m.Data, nil
}

// publish has the server take messages, in order, and returns how many of them it has. On error it may have
// taken further ones.
func (s *session) publish(ctx context.Context, messages []message) (taken int, err error) {
	if s.single {
		return s.publishSingly(ctx, messages)
	}
	futures := make([]jetstream.PubAckFuture, 0, len(messages))
	for i := range messages {
		future, err := s.js.PublishMsgAsync(s.message(&messages[i]), s.condition(), jetstream.WithRetryAttempts(0))
		if err != nil {
			return 0, fmt.Errorf("publish %s: %w", messages[i].id, err)
		}
		s.lastID = messages[i].id
		futures = append(futures, future)
	}
	patience := time.NewTimer(ackTimeout)
	defer patience.Stop()
	for i, future := range futures {
		select {
		case ack := <-future.Ok():
			s.last = ack.Sequence
			patience.Reset(ackTimeout)
			continue
		case err = <-future.Err():
		case <-patience.C:
			err = fmt.Errorf("the server has not answered for %v", ackTimeout)
		case <-s.lost:
			err = errLost
		case <-ctx.Done():
			err = ctx.Err()
		}
		return i, s.refused(fmt.Errorf("publish %s: %w", messages[i].id, err))
	}
	return len(messages), nil
}

func (s *session) publishSingly(ctx context.Context, messages []message) (taken int, err error) {
	for i := range messages {
		within, cancel := context.WithTimeout(ctx, ackTimeout)
		s.lastID = ""
		ack, err := s.js.PublishMsg(within, s.message(&messages[i]), s.condition(), jetstream.WithRetryAttempts(0))
		cancel()
		if err != nil {
			return i, fmt.Errorf("publish %s: %w", messages[i].id, err)
		}
		s.last = ack.Sequence
	}
	return len(messages), nil
}

// errLost says that the connection has ended.
var errLost = errors.New("the connection to NATS is lost")

func (s *session) message(m *message) *nats.Msg {
	msg := nats.NewMsg(s.subject)
	msg.Header.Set(jetstream.MsgIDHeader, m.id)
	msg.Data = m.body
	return msg
}

// condition is that under which the server takes the next message.
func (s *session) condition() jetstream.PublishOpt {
	if s.lastID != "" {
		return jetstream.WithExpectLastMsgID(s.lastID)
	}
	return jetstream.WithExpectLastSequencePerSubject(s.last)
}

// wrongLastMsgID is JetStream's code for a stream whose last message is another one.
const wrongLastMsgID = 10070

// refused finds out whether others publish in the stream.
func (s *session) refused(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == wrongLastMsgID {
		return errShared
	}
	return err
}

// errShared says that a message of somebody else came between two of ours, on another subject of the stream.
var errShared = errors.New("others publish in the stream")

func (s *session) close() { s.conn.Close() }
