package sidecar_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// startBench starts a sidecar in a folder whose path is short enough for a socket.
func startBench(tb testing.TB, profile string) *sidecar.Sidecar {
	tb.Helper()
	home, err := os.MkdirTemp("", "rl")
	if err != nil {
		tb.Fatal(err)
	}
	config := sidecar.Defaults(profile)
	config.Home, config.HTTPS.Addr, config.Log.Level = filepath.Join(home, "home"), "127.0.0.1:0", "error"
	if profile == sidecar.Micronode {
		config.Home = home
	}
	s, err := sidecar.Start(context.Background(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		_ = os.RemoveAll(home)
	})
	return s
}

func dialBench(tb testing.TB, s *sidecar.Sidecar, config client.Options) *client.Client {
	tb.Helper()
	config.Socket = s.Socket()
	config.TokenFile = filepath.Join(filepath.Dir(s.Socket()), "token")
	if _, err := os.Stat(config.TokenFile); err != nil {
		config.TokenFile = "" // a micronode hands its token over
	}
	c, err := client.Dial(context.Background(), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

// transfers fills a batch with entries of 200 bytes.
func transfers(tb testing.TB, b *client.Batch, entries, accounts, offset int) {
	tb.Helper()
	for i := range entries {
		f := wire.Fields{
			Kind: wire.KindTransfer, Account: fmt.Sprintf("account-%05d", (offset+i)%accounts),
			Counterparty: fmt.Sprintf("account-%05d", (offset+i*7+1)%accounts), Amount: wire.AmountOf(1),
		}
		f.Memo = make([]byte, 200-wire.EntryHeaderSize-len(f.Account)-len(f.Counterparty))
		if err := b.Add(&f); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkAppendSocket appends durable entries over the socket. The clients run
// in the same process, on the same cores.
func BenchmarkAppendSocket(b *testing.B) {
	for _, profile := range []string{sidecar.Macronode, sidecar.Micronode} {
		for _, shape := range []struct{ connections, inflight, entries int }{{1, 1, 1}, {64, 1, 16}, {64, 1, 64}, {8, 8, 256}, {64, 1, 1000}} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", profile, shape.connections, shape.inflight, shape.entries), func(b *testing.B) {
				benchmarkAppend(b, profile, shape.connections, shape.inflight, shape.entries)
			})
		}
	}
}

func benchmarkAppend(b *testing.B, profile string, connections, inflight, entries int) {
	s := startBench(b, profile)
	var nonce atomic.Uint64
	first := dialBench(b, s, client.Options{})
	var mints client.Batch
	const accounts = 1000
	for i := range accounts {
		f := wire.Fields{Kind: wire.KindMint, Account: fmt.Sprintf("account-%05d", i), Amount: wire.AmountOf(1 << 50)}
		binary.BigEndian.PutUint64(f.Nonce[:], nonce.Add(1))
		if err := mints.Add(&f); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := first.Append(b.Context(), &mints); err != nil {
		b.Fatal(err)
	}
	work := make(chan struct{}, connections*inflight)
	var running sync.WaitGroup
	for i := range connections {
		c := dialBench(b, s, client.Options{})
		for j := range inflight {
			var batch client.Batch
			transfers(b, &batch, entries, accounts, (i*inflight+j)*13)
			running.Go(func() {
				for range work {
					for n := range batch.Len() {
						binary.BigEndian.PutUint64(batch.Entry(n)[16:], nonce.Add(1))
					}
					result, err := c.Append(context.Background(), &batch)
					if err != nil || int(result.Accepted) != entries {
						b.Errorf("append: %v %+v", err, result)
						return
					}
				}
			})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	running.Wait()
	b.ReportMetric(float64(b.N*entries)/b.Elapsed().Seconds(), "entries/s")
}
