package sidecar

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHostileTLS holds what becomes of a connection that does not do what TLS and HTTP
// ask for: what it is told, and that it is closed, in time.
func TestHostileTLS(t *testing.T) {
	o := newOuter(t, nil)
	plain := func(send ...byte) func(*testing.T) net.Conn {
		return func(t *testing.T) net.Conn {
			conn, err := net.Dial("tcp", o.https.addr())
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(send)
			return conn
		}
	}
	over := func(proto string, send ...byte) func(*testing.T) net.Conn {
		return func(t *testing.T) net.Conn {
			conn, err := tls.Dial("tcp", o.https.addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto}})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = conn.Write(send)
			return conn
		}
	}
	greeting := clientHello(t)
	const atOnce, inTime = 3 * time.Second, 4 * headerTimeout
	var all sync.WaitGroup // at the same time, since most of them wait
	defer all.Wait()
	for _, c := range []struct {
		name   string
		dial   func(*testing.T) net.Conn
		says   string // how what it is told begins, hex where that is no text
		within time.Duration
	}{
		{"garbage", plain(bytes.Repeat([]byte{0xaa}, 64)...), "", atOnce},
		{"HTTP in clear", plain([]byte("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")...), "HTTP/1.0 400 Bad Request", atOnce},
		{"our own protocol", plain([]byte("RLGR\x01\x00\x01\x00padding and more padding")...), "", atOnce},
		{"a record that is too long", plain(0x16, 3, 1, 0xff, 0xff, 1, 0, 0, 1), "hex 15030100020216", atOnce},
		{"a handshake message of 16 MiB", plain(0x16, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff), "hex 1503010002", atOnce},
		{"an alert instead of a greeting", plain(0x15, 3, 1, 0, 2, 2, 40), "", atOnce},
		{"SSL 3.0", plain(patchedVersion(greeting, 3, 0)...), "hex 1503", atOnce},
		{"silence", plain(), "", inTime},
		{"half a greeting", plain(greeting[:len(greeting)/2]...), "", inTime},
		{"a greeting and no more", plain(greeting...), "hex 160303", inTime},
		{"a handshake and silence", over("http/1.1"), "", inTime},
		{"half a request line", over("http/1.1", []byte("GET /ro")...), "", inTime},
		{"a header without end", over("http/1.1", []byte("GET /roots HTTP/1.1\r\nHost: x\r\nA: b")...), "", inTime},
		{"no HTTP", over("http/1.1", []byte("\x00\x01\x02\r\n\r\n")...), "HTTP/1.1 400 Bad Request", atOnce},
		{"a preface of HTTP/2 that is none", over("h2", []byte("PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n")...), "", inTime},
	} {
		conn := c.dial(t)
		all.Go(func() {
			defer conn.Close()
			_ = conn.SetReadDeadline(time.Now().Add(c.within)) // without it the test would not end
			told, err := io.ReadAll(conn)
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Errorf("%s: it is open after %v, told %q", c.name, c.within, told)
			}
			want := c.says
			if text, ok := strings.CutPrefix(want, "hex "); ok {
				told, want = []byte(hex.EncodeToString(told)), text
			}
			if !strings.HasPrefix(string(told), want) {
				t.Errorf("%s: it is told %.100q, want %q", c.name, told, want)
			}
		})
	}
}

// clientHello is a greeting of TLS as a client sends it.
func clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		_ = tls.Client(ours, &tls.Config{InsecureSkipVerify: true}).Handshake()
		_ = ours.Close()
	}()
	greeting := make([]byte, 1<<14)
	n, err := theirs.Read(greeting)
	_ = theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	return greeting[:n]
}

// patchedVersion puts another version into a greeting and makes its list of versions one
// that nobody knows, so that the version counts.
func patchedVersion(greeting []byte, major, minor byte) []byte {
	patched := bytes.Clone(greeting)
	patched[9], patched[10] = major, minor
	if at := bytes.Index(patched, []byte{0, 43, 0}); at > 0 {
		patched[at+1] = 99
	}
	return patched
}
