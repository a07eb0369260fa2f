package sidecartest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// Raw is a connection to the socket that sends whatever bytes a test wants.
type Raw struct {
	*net.UnixConn
	t testing.TB
}

// DialRaw connects without saying HELLO.
func DialRaw(t testing.TB, socket string) *Raw {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	for began := time.Now(); errors.Is(err, syscall.EAGAIN) && time.Since(began) < 20*time.Second; {
		time.Sleep(time.Millisecond) // the listener's backlog is full: the kernel makes nobody wait
		conn, err = net.Dial("unix", socket)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &Raw{conn.(*net.UnixConn), t}
}

// Frame encodes one frame.
func Frame(kind wire.FrameType, id uint64, payload []byte) []byte {
	frame := wire.AppendFrameHeader(nil, wire.FrameHeader{Type: kind, RequestID: id})
	frame = append(frame, payload...)
	wire.FinishFrame(frame, 0)
	return frame
}

// HelloFrame encodes a HELLO with that token.
func HelloFrame(token []byte) []byte {
	hello := wire.Hello{MinVersion: 1, MaxVersion: 1, Token: token, Client: "test"}
	return Frame(wire.FrameHello, 1, hello.Append(nil))
}

// AppendFrame encodes an APPEND of entries, given back to back.
func AppendFrame(id uint64, flags, count uint32, entries []byte) []byte {
	m := wire.AppendRequest{Flags: flags, Count: count, Entries: entries}
	return Frame(wire.FrameAppend, id, m.Append(nil))
}

// Send writes bytes.
func (r *Raw) Send(b []byte) {
	r.t.Helper()
	if _, err := r.Write(b); err != nil {
		r.t.Fatalf("send: %v", err)
	}
}

// Receive reads one frame.
func (r *Raw) Receive() (wire.FrameHeader, []byte) {
	r.t.Helper()
	var header [wire.FrameHeaderSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		r.t.Fatalf("receive: %v", err)
	}
	h, fault := wire.ParseFrameHeader(header[:])
	if !fault.OK() {
		r.t.Fatalf("receive: %v", fault)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(r, payload); err != nil {
		r.t.Fatalf("receive: %v", err)
	}
	return h, payload
}

// ReceiveError reads one frame, which has to be an ERROR.
func (r *Raw) ReceiveError() wire.ErrorMessage {
	r.t.Helper()
	h, payload := r.Receive()
	var m wire.ErrorMessage
	if h.Type != wire.FrameError {
		r.t.Fatalf("received %s, want ERROR", h.Type)
	}
	if fault := m.Decode(payload); !fault.OK() {
		r.t.Fatalf("receive: %v", fault)
	}
	return m
}

// Closed reports whether the server closes the connection now.
func (r *Raw) Closed() bool {
	r.t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(20 * time.Second))
	var b [1]byte
	n, err := r.Read(b[:])
	return n == 0 && err == io.EOF
}

// LyingEntry returns an entry whose size field says size.
func LyingEntry(entry []byte, size uint16) []byte {
	lie := append([]byte(nil), entry...)
	binary.LittleEndian.PutUint16(lie, size)
	return lie
}
