package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/stream"
	"github.com/rustyonions/ron-ledger/wire"
)

// streamer tells a NATS stream of every commit, in the background, for as long as the sidecar runs.
type streamer struct {
	config    *NATSConfig
	publisher *stream.Publisher
	head      func() *committer.Head

	cancel context.CancelFunc
	ended  chan struct{}
}

// newStreamer returns nil where no stream is configured.
func newStreamer(s *Sidecar) (*streamer, error) {
	c := &s.config.Stream.NATS
	if c.URL == "" {
		return nil, nil
	}
	origins, err := s.origins()
	if err != nil {
		return nil, fmt.Errorf("tell a stream of commits: %w", err)
	}
	t := &streamer{config: c, head: s.committer.Head, ended: make(chan struct{})}
	t.publisher = stream.New(stream.Options{
		Server: stream.Server{
			URL: c.URL, Subject: c.Subject, Credentials: c.Credentials, CA: c.CAFile, Cert: c.CertFile, Key: c.KeyFile,
			Name: Name + " " + s.config.Name,
		},
		Store: s.store, Entries: c.Entries == streamEntriesAll, Origins: origins, RootAt: s.rootAt,
		Published: func() (uint64, <-chan struct{}) {
			head := s.committer.Head()
			return head.Size, head.Changed()
		},
		Log: s.log.Named("stream"),
	})
	return t, nil
}

// origins are the log ids that the ledger has had, as far as a stream needs them to be resumed.
func (s *Sidecar) origins() (stream.Origins, error) {
	o := stream.Origins{Log: s.logID, Genesis: s.store.Meta().LogID, Volatile: s.config.Profile == Micronode}
	seq := s.committer.Epoch().Seq
	if seq == 0 || seq < oldestKept(s.store) {
		return o, nil
	}
	b, err := s.store.Record(seq, nil)
	if err != nil {
		return o, err
	}
	record, fault := wire.NextRecord(b)
	if !fault.OK() {
		return o, fmt.Errorf("read the record of the epoch: %w", fault)
	}
	begun := record.Entry().Epoch()
	o.Before, o.Cut = begun.OldLogID, begun.Cut
	return o, nil
}

// rootAt returns the root at a size, where the records that it takes are kept.
func (s *Sidecar) rootAt(size uint64) (root [32]byte, known bool, err error) {
	at, err := s.roots.prover.RootAt(size)
	if errors.Is(err, errForgotten) || errors.Is(err, store.ErrNotFound) {
		return root, false, nil
	}
	return at, err == nil, err
}

func (t *streamer) start() {
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	go func() {
		defer close(t.ended)
		t.publisher.Run(ctx)
	}()
}

// streamStopMax bounds how long a stop waits for a stream that is being told the last commits; the next
// start tells it what is missing.
const streamStopMax = 2 * time.Second

// stop lets a stream that is connected have the last commits, and ends.
func (t *streamer) stop(ctx context.Context) error {
	last, cancel := context.WithTimeout(ctx, streamStopMax)
	defer cancel()
	for status := t.publisher.Status(); status.Connected && status.Size < t.head().Size && last.Err() == nil; status = t.publisher.Status() {
		time.Sleep(streamStopPoll)
	}
	t.cancel()
	select {
	case <-t.ended: // within the time of a connection that is being made
		return nil
	case <-ctx.Done():
		return fmt.Errorf("end the stream of commits: %w", ctx.Err())
	}
}

const streamStopPoll = 5 * time.Millisecond

// StreamStatus is what STATUS says of the stream.
type StreamStatus struct {
	URL        string  `json:"url"`
	Subject    string  `json:"subject"`
	Connected  bool    `json:"connected"`
	Size       uint64  `json:"size"`        // entries that the stream has been told of
	LagEntries uint64  `json:"lag_entries"` // published and not told
	LagS       float64 `json:"lag_s"`       // since everything was
	Messages   uint64  `json:"messages"`
	Bytes      uint64  `json:"bytes"` // of them
	Failures   uint64  `json:"failures"`
	Skipped    uint64  `json:"skipped,omitempty"`
	Error      string  `json:"error,omitempty"` // why the newest attempt failed
}

func (t *streamer) status() *StreamStatus {
	p, head := t.publisher.Status(), t.head()
	s := &StreamStatus{
		URL: t.config.URL, Subject: t.config.Subject, Connected: p.Connected, Size: p.Size, LagEntries: head.Size - min(p.Size, head.Size),
		Messages: p.Messages, Bytes: p.Bytes, Failures: p.Failures, Skipped: p.Skipped, Error: p.Error,
	}
	if s.LagEntries > 0 || s.Error != "" {
		s.LagS = time.Since(p.CaughtUp).Seconds()
	}
	return s
}

// What of a commit the stream is told.
const (
	streamEntriesNone = "none"
	streamEntriesAll  = "all"
)

// files are the folders that a stream reads again when it connects: those of its keys, and where the
// system says how names are found and whom to trust.
func (c *NATSConfig) files() (folders []string) {
	if c.URL == "" {
		return nil
	}
	for _, file := range []string{c.Credentials, c.CAFile, c.CertFile, c.KeyFile} {
		if absolute, err := filepath.Abs(file); err == nil && file != "" {
			folders = append(folders, filepath.Dir(absolute))
		}
	}
	return append(folders, "/etc", "/run/systemd/resolve", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
}

// check holds the keys of the stream against each other.
func (c *NATSConfig) check() error {
	for each := range strings.SplitSeq(c.URL, ",") {
		u, err := url.Parse(strings.TrimSpace(each))
		if c.URL != "" && (err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Host == "" || u.Path != "" || u.User != nil) {
			return errors.New("check configuration: stream.nats.url has to be nats://HOST:PORT or tls://HOST:PORT, several with commas between them; " +
				"who connects stands in the file stream.nats.credentials, not in the URL")
		}
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("check configuration: stream.nats.cert_file and stream.nats.key_file belong together: set both or none")
	}
	for token := range strings.SplitSeq(c.Subject, ".") {
		if token == "" || strings.ContainsAny(token, "*>") || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("check configuration: stream.nats.subject is %q: it must be words with dots between them, without wildcards", c.Subject)
		}
	}
	return nil
}
