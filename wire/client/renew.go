package client

import (
	"bytes"
	"context"
	"errors"

	"github.com/rustyonions/ron-ledger/wire"
)

// renew reports whether a request that was refused for its token, used, can be sent
// again: since the connection has another one by now, or since the token file has,
// which it then gives to the connection. The requests under way on it go on.
func (c *Client) renew(ctx context.Context, failure error, used []byte) bool {
	if c.options.TokenFile == "" || !wantsToken(failure) {
		return false
	}
	if !bytes.Equal(c.token(), used) {
		return true
	}
	token, err := c.options.token()
	if err != nil || len(token) == 0 || bytes.Equal(token, used) {
		return false
	}
	err = c.Auth(ctx, token)
	_, passes := Retryable(err)
	return err == nil || passes
}

// wantsToken reports whether another token could help.
func wantsToken(err error) bool {
	var refused *ReasonError
	return errors.As(err, &refused) && (refused.Reason == wire.ReasonUnauth || refused.Reason == wire.ReasonCapInvalid)
}

// token returns the one that the newest connection uses.
func (c *Client) token() []byte {
	c.mu.Lock()
	p := c.pipe
	c.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token
}
