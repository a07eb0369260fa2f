package client

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

func TestHelloCarriesTokenAndName(t *testing.T) {
	p := newPeer(t)
	file := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		text := tokenTextPrefix + base64.RawURLEncoding.EncodeToString([]byte(token)) + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := p.dial(t, func(o *Options) { o.TokenFile = file }) // no such file yet
	for _, token := range []string{"first", "second"} {
		write(token)
		p.cut()
		<-c.pipe.done
		if err := c.Reconnect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, h := range p.hellos {
		got = append(got, h.Client+"="+string(h.Token))
	}
	if want := "test= test=first test=second"; strings.Join(got, " ") != want {
		t.Fatalf("hellos %q, want %q", got, want)
	}
	if w := c.Welcome(); w.ServerName != "peer" || len(w.Rights) != 1 {
		t.Fatalf("welcome %+v", w)
	}
}

func TestTokenFileErrorsDoNotShowTheToken(t *testing.T) {
	for name, text := range map[string]string{
		"no prefix":    "secretsecret",
		"not base64":   "rl1_secret!secret",
		"empty":        "rl1_",
		"too long":     "rl1_" + strings.Repeat("secr", 1400),
		"padded":       "rl1_secre===",
		"two of them":  "rl1_secret\nrl1_secret",
		"inner spaces": "rl1_secret secret",
	} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Dial(t.Context(), Options{Socket: "unused", TokenFile: file})
		if err == nil || strings.Contains(err.Error(), "secr") || errors.Is(err, ErrDisconnected) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]Options{
		"Socket is empty":      {},
		"exclude each other":   {Socket: "s", Token: []byte("t"), TokenFile: "f"},
		"Token is longer":      {Socket: "s", Token: make([]byte, wire.MaxTokenLength+1)},
		"Name is longer":       {Socket: "s", Name: strings.Repeat("n", 65)},
		"not printable":        {Socket: "s", Name: "a\nb"},
		"MaxInflight or DialT": {Socket: "s", MaxInflight: -1},
	} {
		if _, err := Dial(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestServerIsCheckedBeforeTheTokenIsSent(t *testing.T) {
	p := newPeer(t)
	impostor := errors.New("uid 4711 is not the ledger's")
	_, err := Dial(t.Context(), Options{Socket: p.socket, Token: []byte("t"), CheckServer: func(net.Conn) error { return impostor }})
	if _, retry := Retryable(err); !errors.Is(err, impostor) || retry {
		t.Fatalf("%v", err)
	}
	if len(p.hellos) != 0 {
		t.Fatal("HELLO was said to an impostor")
	}
}

func TestNobodyListens(t *testing.T) {
	_, err := Dial(t.Context(), Options{Socket: filepath.Join(t.TempDir(), "none")})
	if _, retry := Retryable(err); !errors.Is(err, ErrDisconnected) || !errors.Is(err, os.ErrNotExist) || !retry {
		t.Fatalf("%v", err)
	}
}

func TestServerThatSaysNothing(t *testing.T) {
	p := newPeer(t)
	p.intercept(func(*peerConn, wire.Frame) bool { return true })
	_, err := Dial(t.Context(), Options{Socket: p.socket, DialTimeout: 20 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrDisconnected) {
		t.Fatalf("%v", err)
	}
}

// TestAnswersToHello scripts every answer that is not a good WELCOME.
func TestAnswersToHello(t *testing.T) {
	welcome := func(change func(*wire.Welcome)) func(c *peerConn, f wire.Frame) {
		return func(c *peerConn, f wire.Frame) {
			w := c.welcome
			change(&w)
			c.answer(wire.FrameWelcome, 0, f.RequestID, w.Append)
		}
	}
	// A server that is shutting down may say so behind WELCOME, in the same write.
	atOnce := func(kind wire.FrameType, fill func([]byte) []byte) func(c *peerConn, f wire.Frame) {
		return func(c *peerConn, f wire.Frame) {
			w := c.welcome
			both := appendFrame(nil, wire.FrameHeader{Type: wire.FrameWelcome, RequestID: f.RequestID}, w.Append)
			_, _ = c.Write(appendFrame(both, wire.FrameHeader{Type: kind}, fill))
			_ = c.Close()
		}
	}
	for name, tc := range map[string]struct {
		answer func(c *peerConn, f wire.Frame)
		is     error
		says   string
	}{
		"refused": {func(c *peerConn, f wire.Frame) { c.refuse(f.RequestID, wire.ReasonCapInvalid, "expired", 0) }, nil, "cap_invalid: expired"},
		"turned away": {func(c *peerConn, _ wire.Frame) {
			c.refuse(0, wire.ReasonUnauth, "uid 7 is not allowed", 0)
			_ = c.Close()
		}, nil, "unauth: uid 7"},
		"refused at once": {atOnce(wire.FrameError, (&wire.ErrorMessage{Reason: wire.ReasonDraining, Detail: "it is shutting down"}).Append), nil, "draining: it is"},
		"more at once":    {atOnce(wire.FrameOK, nothing), ErrProtocol, "OK follows WELCOME unasked"},
		"closed":          {func(c *peerConn, _ wire.Frame) { _ = c.Close() }, ErrDisconnected, "closed the connection"},
		"another version": {welcome(func(w *wire.Welcome) { w.Version = 9 }), ErrProtocol, "version 9"},
		"another type":    {func(c *peerConn, f wire.Frame) { c.answer(wire.FrameOK, 0, f.RequestID, nothing) }, ErrProtocol, "OK answers HELLO"},
		"cut off":         {func(c *peerConn, f wire.Frame) { c.answer(wire.FrameWelcome, 0, f.RequestID, nothing) }, ErrProtocol, "decode WELCOME"},
		"bad header":      {func(c *peerConn, f wire.Frame) { c.answer(wire.FrameWelcome, 0x80, f.RequestID, nothing) }, ErrProtocol, "flag"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t)
			p.intercept(func(c *peerConn, f wire.Frame) bool { tc.answer(c, f); return true })
			_, err := Dial(t.Context(), Options{Socket: p.socket})
			if err == nil || !strings.Contains(err.Error(), tc.says) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Fatalf("%v", err)
			}
			var refused *ReasonError
			if tc.is == nil && (!errors.As(err, &refused) || errors.Is(err, ErrDisconnected)) {
				t.Fatalf("not a ReasonError: %v", err)
			}
		})
	}
}

func nothing(dst []byte) []byte { return dst }

// TestBrokenAnswersToAppend scripts answers that a server MUST NOT give: the
// connection ends and the outcome is unknown.
func TestBrokenAnswersToAppend(t *testing.T) {
	appended := func(a wire.Appended) func(c *peerConn, f wire.Frame) {
		return func(c *peerConn, f wire.Frame) {
			c.answer(wire.FrameAppended, 0, f.RequestID, func(dst []byte) []byte { return wire.AppendAppended(dst, &a) })
		}
	}
	duplicate := func(index uint32) wire.EntryResult {
		return wire.EntryResult{Index: index, Outcome: wire.OutcomeDuplicate, Seq: 1}
	}
	for name, answer := range map[string]func(c *peerConn, f wire.Frame){
		"another type":    func(c *peerConn, f wire.Frame) { c.answer(wire.FrameOK, 0, f.RequestID, nothing) },
		"another request": func(c *peerConn, f wire.Frame) { c.answer(wire.FrameAppended, 0, f.RequestID+1, nothing) },
		"cut off":         func(c *peerConn, f wire.Frame) { c.answer(wire.FrameAppended, 0, f.RequestID, nothing) },
		"to be continued": func(c *peerConn, f wire.Frame) { c.answer(wire.FrameAppended, wire.FlagMore, f.RequestID, nothing) },
		"too few":         appended(wire.Appended{Accepted: 1}),
		"too many":        appended(wire.Appended{Accepted: 3}),
		"wrong order":     appended(wire.Appended{Results: []wire.EntryResult{duplicate(1), duplicate(0)}}),
		"beyond the end":  appended(wire.Appended{Accepted: 1, Results: []wire.EntryResult{duplicate(2)}}),
		"broken error":    func(c *peerConn, f wire.Frame) { c.answer(wire.FrameError, 0, f.RequestID, nothing) },
		"not compressed": func(c *peerConn, f wire.Frame) {
			c.answer(wire.FrameAppended, wire.FlagCompressed, f.RequestID, nothing)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t)
			c := p.dial(t, nil)
			p.intercept(func(c *peerConn, f wire.Frame) bool { answer(c, f); return true })
			if _, err := c.Append(t.Context(), batchOf(t, 1, 2)); !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, ErrProtocol) {
				t.Fatalf("%v", err)
			}
		})
	}
}
