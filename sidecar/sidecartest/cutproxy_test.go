//go:build clients

package sidecartest

import (
	"io"
	"math"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// cutProxy hands connections on to a socket and cuts each, in both directions, behind a
// random byte of either.
type cutProxy struct {
	path     string
	upstream string
	listener net.Listener
	running  sync.WaitGroup
	cuts     atomic.Int64
	spared   atomic.Bool

	mu     sync.Mutex
	random *rand.Rand
	conns  map[net.Conn]bool
}

// cutMost is the most bytes that a direction may have before it is cut.
const cutMost = 512 << 10

func startCutProxy(t *testing.T, upstream string, seed uint64) *cutProxy {
	t.Helper()
	x := &cutProxy{
		path: filepath.Join(ShortDir(t), "s"), upstream: upstream, random: rand.New(rand.NewPCG(seed, 2)), conns: map[net.Conn]bool{},
	}
	var err error
	if x.listener, err = net.Listen("unix", x.path); err != nil {
		t.Fatal(err)
	}
	x.running.Go(x.accept)
	t.Cleanup(func() {
		_ = x.listener.Close()
		x.mu.Lock()
		for c := range x.conns {
			_ = c.Close()
		}
		x.mu.Unlock()
		x.running.Wait()
	})
	return x
}

// spare ends the cutting.
func (x *cutProxy) spare() { x.spared.Store(true) }

func (x *cutProxy) accept() {
	for {
		near, err := x.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("unix", x.upstream)
		if err != nil {
			_ = near.Close()
			continue
		}
		x.mu.Lock()
		x.conns[near], x.conns[far] = true, true
		x.mu.Unlock()
		x.running.Go(func() { x.copy(near, far) })
		x.running.Go(func() { x.copy(far, near) })
	}
}

// budget draws how many bytes a direction has, as many digits as often: many
// connections end amid HELLO, and some live long.
func (x *cutProxy) budget() int64 {
	if x.spared.Load() {
		return math.MaxInt64
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return int64(math.Exp(x.random.Float64() * math.Log(cutMost)))
}

func (x *cutProxy) copy(to, from net.Conn) {
	n, err := io.CopyN(to, from, x.budget())
	if err == nil && n > 0 {
		x.cuts.Add(1)
	}
	_, _ = to.Close(), from.Close()
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.conns, to)
	delete(x.conns, from)
}
