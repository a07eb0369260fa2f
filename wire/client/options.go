package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// DefaultDialTimeout bounds connecting and the handshake where ctx does not.
const DefaultDialTimeout = 5 * time.Second

// Options say where the server is and who is calling.
type Options struct {
	// Socket is the path of the server's Unix-domain socket.
	Socket string

	// Token is a capability token in its binary form. Without one, and without a
	// TokenFile that exists, HELLO carries none: a server may then hand one to a
	// peer of its own uid.
	Token []byte

	// TokenFile holds a token as text. It is read again at every connect, and when
	// the server refuses the token of a live connection, so that a token can be
	// exchanged under a running application. Not with Token.
	TokenFile string

	// Name appears in the server's log. At most 64 bytes of printable ASCII.
	Name string

	// CheckServer looks at a connection before the token is sent over it; RequireUID
	// asks who runs the server. Default: it has to be this process's uid, root, or
	// the owner of the socket's folder, who alone could have put the socket there.
	// A server of another uid in a shared folder such as /tmp needs RequireUID.
	// With Dial there is no default.
	CheckServer func(net.Conn) error

	// Dial replaces how Socket is connected to.
	Dial func(ctx context.Context) (net.Conn, error)

	// DialTimeout bounds connecting and the handshake. Default: DefaultDialTimeout.
	DialTimeout time.Duration

	// MaxInflight bounds how many requests wait for an answer, below what the
	// server allows. Default: what the server allows.
	MaxInflight int
}

func (o *Options) validate() error {
	switch {
	case o.Socket == "" && o.Dial == nil:
		return errors.New("client options: Socket is empty")
	case len(o.Token) > 0 && o.TokenFile != "":
		return errors.New("client options: Token and TokenFile exclude each other")
	case len(o.Token) > wire.MaxTokenLength:
		return fmt.Errorf("client options: Token is longer than %d bytes", wire.MaxTokenLength)
	case len(o.Name) > wire.MaxClientNameLength:
		return fmt.Errorf("client options: Name is longer than %d bytes", wire.MaxClientNameLength)
	case o.MaxInflight < 0 || o.DialTimeout < 0:
		return errors.New("client options: MaxInflight or DialTimeout is below zero")
	}
	for _, c := range []byte(o.Name) {
		if c < 0x20 || c > 0x7e {
			return errors.New("client options: Name has a byte that is not printable ASCII")
		}
	}
	return nil
}

// tokenTextPrefix starts the text form of a token; base64url follows.
const tokenTextPrefix = "rl1_"

// token returns the token to say HELLO with, nil for none.
func (o *Options) token() ([]byte, error) {
	if o.TokenFile == "" {
		return o.Token, nil
	}
	text, err := os.ReadFile(o.TokenFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the token: %w", err)
	}
	token, err := parseTokenText(text)
	if err != nil {
		return nil, fmt.Errorf("read the token from %s: %w", o.TokenFile, err)
	}
	return token, nil
}

// parseTokenText reads the text form. No error repeats any of it.
func parseTokenText(text []byte) ([]byte, error) {
	encoded, found := bytes.CutPrefix(bytes.TrimSpace(text), []byte(tokenTextPrefix))
	if !found {
		return nil, errors.New("a token starts with " + tokenTextPrefix)
	}
	token, err := base64.RawURLEncoding.Strict().AppendDecode(nil, encoded)
	if err != nil || bytes.ContainsAny(encoded, "\r\n") { // line breaks are passed over by encoding/base64
		return nil, errors.New("what follows " + tokenTextPrefix + " is not base64url")
	}
	if len(token) == 0 || len(token) > wire.MaxTokenLength {
		return nil, fmt.Errorf("a token has 1 to %d bytes", wire.MaxTokenLength)
	}
	return token, nil
}
