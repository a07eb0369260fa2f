package clienttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// closeTimeout bounds how long a ledger may take to stop.
const closeTimeout = 20 * time.Second

// Ledger is a running micronode.
type Ledger struct {
	dir     string
	config  *sidecar.Config
	sidecar *sidecar.Sidecar
}

// Start starts a ledger. configure, where it is not nil, changes the configuration
// first. The caller MUST call Close; Run does so by itself.
func Start(ctx context.Context, configure func(*sidecar.Config)) (*Ledger, error) {
	dir, err := os.MkdirTemp("", "ledger") // short, as the path of a socket has to be
	if err != nil {
		return nil, fmt.Errorf("make a folder for the ledger: %w", err)
	}
	l := &Ledger{dir: dir, config: sidecar.Defaults(sidecar.Micronode)}
	l.config.Home = filepath.Join(dir, "home")
	l.config.HTTPS.Addr = "127.0.0.1:0"
	l.config.Log.Level = "error"
	l.config.Governance.Reversals = "require-capability"
	if configure != nil {
		configure(l.config)
	}
	if l.sidecar, err = sidecar.Start(ctx, l.config); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return l, nil
}

// Run starts a ledger that ends with the test.
func Run(t testing.TB, configure ...func(*sidecar.Config)) *Ledger {
	t.Helper()
	l, err := Start(t.Context(), func(c *sidecar.Config) {
		for _, change := range configure {
			change(c)
		}
	})
	if err != nil {
		t.Fatalf("start a ledger: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("stop the ledger: %v", err)
		}
	})
	return l
}

// Close stops the ledger and removes what it has made.
func (l *Ledger) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return errors.Join(l.sidecar.Close(ctx), os.RemoveAll(l.dir))
}

// Restart stops the ledger and starts another one on the same socket. A micronode
// keeps nothing: it is empty, and has another log id.
func (l *Ledger) Restart(ctx context.Context) error {
	if err := l.sidecar.Close(ctx); err != nil {
		return err
	}
	var err error
	l.sidecar, err = sidecar.Start(ctx, l.config)
	return err
}

// Socket returns the path of the ledger's socket.
func (l *Ledger) Socket() string { return l.sidecar.Socket() }

// Options say how to connect to the ledger. Its own uid is handed a token that allows
// everything.
func (l *Ledger) Options() client.Options {
	return client.Options{Socket: l.Socket(), CheckServer: client.RequireUID(uint32(os.Geteuid()))}
}

// Dial connects a client that is closed with the test.
func (l *Ledger) Dial(t testing.TB) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), l.Options())
	if err != nil {
		t.Fatalf("dial the ledger: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Mint makes money, for a test to begin with.
func (l *Ledger) Mint(t testing.TB, account, asset string, amount wire.Amount) {
	t.Helper()
	unit, ok := wire.ParseAsset(asset)
	if !ok {
		t.Fatalf("asset %q cannot be read", asset)
	}
	var b client.Batch
	if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: account, Asset: unit, Amount: amount, Nonce: client.NewNonce()}); err != nil {
		t.Fatal(err)
	}
	result, err := l.Dial(t).AppendRetry(t.Context(), &b)
	if err != nil || result.Accepted != 1 {
		t.Fatalf("mint %s %s: %+v, %v", amount, asset, result, err)
	}
}

// Balance returns what an account has available of an asset.
func (l *Ledger) Balance(t testing.TB, account, asset string) wire.Amount {
	t.Helper()
	held, err := l.Dial(t).Account(t.Context(), account)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range held.Balances {
		if b.Asset.String() == asset {
			return b.Available
		}
	}
	return wire.Amount{}
}
