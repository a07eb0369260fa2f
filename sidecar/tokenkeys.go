package sidecar

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
)

const (
	// tokenKeysPoll is how often the keyring and the revocation list are looked at:
	// the longest that a revoked token goes on without a SIGHUP. Watching files breaks
	// when Kubernetes swaps the symbolic link above them.
	tokenKeysPoll = time.Second
	// revocationBytesMax bounds the revocation list: some 23,000 ids.
	revocationBytesMax = 1 << 20
)

// tokenKeys are what tokens are judged by. They never change: a reload makes new
// ones, so that a session that has judged its token by the current ones, which is
// one comparison of pointers, need not do so again.
type tokenKeys struct {
	ring    *capability.Keyring
	revoked *capability.Revocations
}

// tokenKeyFiles holds the tokenKeys that count now, and replaces them when their files
// change. Each file counts as it was last read without an error: a keyring that
// cannot be read MUST NOT keep a revocation from taking effect. A revocation list that
// is gone is an error too, once there was one: it lifts nothing.
type tokenKeyFiles struct {
	current       atomic.Pointer[tokenKeys]
	ring, revoked watchedFile

	nudge           chan struct{} // SIGHUP
	log             *zap.Logger
	reloads, failed atomic.Uint64
	stale           atomic.Bool // a file could not be read at the last look
	said            string      // the failure that was logged, to say it once
}

// watchedFile is a file that is read again when its content changes.
type watchedFile struct {
	path     string // empty: there is none
	bytesMax int64
	optional bool // it may be missing until it was seen
	seen     bool
	sum      [sha256.Size]byte // of the content in force
}

// changed returns the content when it is another than the one in force.
func (w *watchedFile) changed() (text []byte, changed bool, err error) {
	if w.path == "" {
		return nil, false, nil
	}
	text, err = peercred.ReadPrivate(w.path, w.bytesMax)
	if err != nil {
		if w.optional && !w.seen && errors.Is(err, fs.ErrNotExist) {
			return nil, false, nil
		}
		return nil, false, err
	}
	return text, !w.seen || sha256.Sum256(text) != w.sum, nil
}

// took says that text is in force.
func (w *watchedFile) took(text []byte) { w.seen, w.sum = true, sha256.Sum256(text) }

// newTokenKeyFiles begins with the keys that the start has read, and reads them again
// from the files of the configuration.
func newTokenKeyFiles(h *home, c *Config, id *Identity, log *zap.Logger) *tokenKeyFiles {
	f := &tokenKeyFiles{
		ring:    watchedFile{path: c.Keys.Keyring, bytesMax: secretBytesMax},
		revoked: watchedFile{path: c.Keys.Revocations, bytesMax: revocationBytesMax},
		nudge:   make(chan struct{}, 1), log: log.Named("keys"),
	}
	if h.durable {
		f.ring.path = c.inHome(c.Keys.Keyring, keyringFile)
		f.revoked.path = c.inHome(c.Keys.Revocations, revocationsFile)
		f.revoked.optional = c.Keys.Revocations == ""
	}
	f.current.Store(&tokenKeys{ring: id.Keyring, revoked: id.Revocations})
	f.revoked.seen = id.Revocations != nil
	return f
}

// watch reloads every interval, and when reload asks for it, until ctx ends.
func (f *tokenKeyFiles) watch(ctx context.Context, interval time.Duration) {
	poll(ctx, interval, f.nudge, f.look)
}

// look reads both files and puts what has changed in force, in one step.
func (f *tokenKeyFiles) look() {
	next := *f.current.Load()
	ringText, ringChanged, ringErr := f.ring.changed()
	if ringChanged {
		ring, err := capability.ParseKeyring(ringText)
		if err == nil {
			next.ring = ring
			f.ring.took(ringText)
		}
		ringChanged, ringErr = err == nil, err
	}
	clear(ringText)
	revokedText, revokedChanged, revokedErr := f.revoked.changed()
	if revokedChanged {
		revoked, err := capability.ParseRevocations(revokedText)
		if err == nil {
			next.revoked = revoked
			f.revoked.took(revokedText)
		}
		revokedChanged, revokedErr = err == nil, err
	}
	f.report(errors.Join(ringErr, revokedErr))
	if (ringChanged || revokedChanged) && !next.same(f.current.Load()) {
		f.current.Store(&next)
		f.reloads.Add(1)
		f.log.Info("the keys of tokens were replaced", zap.Int("keys", len(next.ring.Keys())), zap.Int("revoked", next.revoked.Len()))
	}
}

// same reports whether nothing was changed that a token could notice.
func (k *tokenKeys) same(other *tokenKeys) bool {
	return string(k.ring.Marshal()) == string(other.ring.Marshal()) && string(k.revoked.Marshal()) == string(other.revoked.Marshal())
}

// report counts a failed look, and logs the first of a row that fail alike.
func (f *tokenKeyFiles) report(err error) {
	f.stale.Store(err != nil)
	if err == nil {
		f.said = ""
		return
	}
	f.failed.Add(1)
	if said := err.Error(); said != f.said {
		f.said = said
		f.log.Error("the keys of tokens could not be read again: those before stay in force", zap.Error(err))
	}
}

// Reload looks at the keyring, the revocation list, the certificate and tls.client_ca now
// instead of at their next turn. It does not wait for the outcome, which is logged: a file that
// cannot be read leaves what it held before in force. After ReloadWith it reads the configuration
// again as well, and returns what came of that.
func (s *Sidecar) Reload() Reloaded {
	for _, nudge := range []chan struct{}{s.keys.nudge, s.https.certificates.nudge, s.https.clients.nudge} {
		select {
		case nudge <- struct{}{}:
		default: // one is on its way
		}
	}
	return s.reloadConfig()
}
