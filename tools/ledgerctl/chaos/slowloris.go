package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

const (
	lorisMax     = 100                   // uds.max_connections; those below are more than 80 % of it
	lorisGreet   = 60                    // connections that greet too slowly
	lorisDrip    = 16                    // that send too slowly
	lorisDeaf    = 8                     // that do not read
	lorisSilent  = 16                    // to the HTTPS port
	lorisPause   = 50 * time.Millisecond // between two bytes
	lorisRetry   = 5 * time.Millisecond
	lorisTimeout = "400ms"
)

// slowloris keeps connections busy with nothing, in four ways: a HELLO that does not end, a frame that comes byte by
// byte, requests whose answers are not read, and on the HTTPS port a handshake that does not begin.
func slowloris() attack {
	return attack{
		name: "slowloris", do: doSlowloris, amid: true,
		config: fmt.Sprintf("[uds]\nmax_connections = %d\nmax_connections_per_uid = %[1]d\nhandshake_timeout = %q\nframe_timeout = %[2]q\nwrite_timeout = %[2]q\n",
			lorisMax, lorisTimeout),
		moved: []expectation{
			passes("LedgerConnectionsFull", "uds_connections", "uds_connections_max", 0.8),
			rises("", "rejected_total", "reason", "timeout"),
		},
	}
}

func doSlowloris(ctx context.Context, r *run) error {
	address, err := r.httpsAddress(ctx)
	if err != nil {
		return err
	}
	attacking, end := r.lasting(ctx)
	defer end()
	socket := filepath.Join(r.server.Home, sidecar.SocketFile)
	kinds := []struct {
		behave func(context.Context, net.Conn)
		count  int
		what   string
		cutOff atomic.Int64
	}{
		{behave: halfHello, count: lorisGreet, what: "greetings that did not end were cut off"},
		{behave: drip, count: lorisDrip, what: "frames that did not end were cut off"},
		{behave: neverRead, count: lorisDeaf, what: "readers that did not read were cut off"},
	}
	var all sync.WaitGroup
	for i := range kinds {
		for range kinds[i].count {
			all.Go(func() { again(attacking, "unix", socket, kinds[i].behave, &kinds[i].cutOff) })
		}
	}
	for range lorisSilent {
		all.Go(func() {
			again(attacking, "tcp", address, func(_ context.Context, c net.Conn) { _, _ = io.Copy(io.Discard, c) }, new(atomic.Int64))
		})
	}
	<-attacking.Done()
	since := time.Now()
	all.Wait()
	r.recovered(ctx, since)
	r.report.did(fmt.Sprintf("connections at a time on the socket, %d on the HTTPS port", lorisSilent), lorisGreet+lorisDrip+lorisDeaf)
	for i := range kinds {
		n := int(kinds[i].cutOff.Load())
		r.report.did(kinds[i].what, n)
		if n == 0 {
			err = fmt.Errorf("none of the %s", kinds[i].what)
		}
	}
	r.check("each kind is cut off", err, "by handshake_timeout, frame_timeout and write_timeout")
	return nil
}

// again connects until ctx ends, behaves badly, and counts how often the server had enough of it.
func again(ctx context.Context, network, address string, behave func(context.Context, net.Conn), cutOff *atomic.Int64) {
	for ctx.Err() == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			pause(ctx, lorisRetry) // the backlog is full
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		behave(ctx, conn)
		if ctx.Err() == nil {
			cutOff.Add(1)
		}
		stop()
		_ = conn.Close()
	}
}

// halfHello begins a HELLO and waits for the end.
func halfHello(_ context.Context, conn net.Conn) {
	_, _ = conn.Write(hello()[:wire.FrameHeaderSize/2])
	_, _ = io.Copy(io.Discard, conn)
}

// drip says HELLO and then a frame, slower than it may be.
func drip(ctx context.Context, conn net.Conn) {
	if _, err := conn.Write(hello()); err != nil {
		return
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		close(ended)
	}()
	defer func() {
		_ = conn.Close()
		<-ended
	}()
	long := frame(wire.FrameAppend, 2, make([]byte, 4096))
	for i := range long {
		if _, err := conn.Write(long[i : i+1]); err != nil || !pause(ctx, lorisPause) {
			return
		}
	}
}

// neverRead asks and asks and reads nothing.
func neverRead(_ context.Context, conn net.Conn) {
	if _, err := conn.Write(hello()); err != nil {
		return
	}
	for id := uint64(2); ; id++ {
		if _, err := conn.Write(frame(wire.FrameStatus, id, (&wire.Status{}).Append(nil))); err != nil {
			return
		}
	}
}

func hello() []byte {
	m := wire.Hello{MinVersion: 1, MaxVersion: 1, Client: "chaos"}
	return frame(wire.FrameHello, 1, m.Append(nil))
}

func frame(kind wire.FrameType, id uint64, payload []byte) []byte {
	b := append(wire.AppendFrameHeader(nil, wire.FrameHeader{Type: kind, RequestID: id}), payload...)
	wire.FinishFrame(b, 0)
	return b
}

// httpsAddress asks where the HTTPS port is.
func (r *run) httpsAddress(ctx context.Context) (string, error) {
	c, err := client.Dial(ctx, r.server.Client("ledgerctl chaos"))
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	text, err := c.Status(ctx)
	if err != nil {
		return "", err
	}
	var status struct {
		HTTPS string `json:"https"`
	}
	if err := json.Unmarshal(text, &status); err != nil {
		return "", fmt.Errorf("read the status: %w", err)
	}
	return status.HTTPS, nil
}
