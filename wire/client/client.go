package client

import (
	"context"
	"fmt"
	"sync"

	"github.com/rustyonions/ron-ledger/wire"
)

// Client is a connection to a ledger that is made again when it breaks. It may be
// used from any number of goroutines.
type Client struct {
	options Options

	dialing sync.Mutex // one dials at a time; taken before mu

	mu         sync.Mutex
	pipe       *pipe // the newest; it may be broken
	unresolved bool  // a pipe before it broke with appends of unknown outcome
	closed     bool
}

// Dial connects and says HELLO. Its errors are ReasonError when the server
// refused, ErrDisconnected when it could not be reached. The caller MUST call
// Close.
func Dial(ctx context.Context, options Options) (*Client, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	c := &Client{options: options}
	l, err := c.options.dial(ctx)
	if err != nil {
		return nil, err
	}
	c.pipe = newPipe(l, options.MaxInflight)
	return c, nil
}

// Close ends the connection. Requests under way fail: appends among them have an
// unknown outcome. It waits for the goroutines of the client.
func (c *Client) Close() error {
	c.dialing.Lock()
	defer c.dialing.Unlock()
	c.mu.Lock()
	c.closed = true
	p := c.pipe
	c.mu.Unlock()
	p.stop(ErrClosed)
	return nil
}

// Welcome returns what the server said about itself and the caller's rights when
// the newest connection was made. Its slices MUST NOT be changed.
func (c *Client) Welcome() wire.Welcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pipe.welcome
}

// Reconnect makes sure that there is a live connection, and says that the caller
// has taken notice of appends whose outcome is unknown: they are allowed again,
// in whatever order the caller sends them.
func (c *Client) Reconnect(ctx context.Context) error {
	p, err := c.live(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipe == p {
		c.unresolved = false
	}
	return nil
}

// live returns a connection that is not known to be broken, and dials where there
// is none.
func (c *Client) live(ctx context.Context) (*pipe, error) {
	if p, err := c.current(); p != nil || err != nil {
		return p, err
	}
	c.dialing.Lock()
	defer c.dialing.Unlock()
	if p, err := c.current(); p != nil || err != nil {
		return p, err
	}
	c.mu.Lock()
	old := c.pipe
	c.mu.Unlock()
	old.both.Wait()
	l, err := c.options.dial(ctx)
	if err != nil {
		return nil, err
	}
	p := newPipe(l, c.options.MaxInflight)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unresolved = c.unresolved || old.unresolved // its goroutines are gone
	c.pipe = p
	return p, nil
}

// current returns the newest pipe, or nil when it is broken.
func (c *Client) current() (*pipe, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	select {
	case <-c.pipe.done:
		return nil, nil
	default:
		return c.pipe, nil
	}
}

// forAppend is live for appends, which MUST NOT overtake others silently.
func (c *Client) forAppend(ctx context.Context) (*pipe, error) {
	p, err := c.live(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unresolved {
		return nil, fmt.Errorf("%w: the outcome of earlier appends is unknown: call Reconnect to append again", ErrDisconnected)
	}
	return p, nil
}
