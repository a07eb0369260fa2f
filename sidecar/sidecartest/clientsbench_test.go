//go:build clients

package sidecartest

import (
	"maps"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// measured is what a client says of a benchmark.
type measured struct {
	Entries      float64
	Seconds, CPU float64
}

// clientsBenchTime is how long each client appends.
const clientsBenchTime = 5 * time.Second

// BenchmarkClients has each client append batches of 256 entries of some 200 bytes to a
// ledger of its own, and look at what became of each entry. CPU is that of the client.
func BenchmarkClients(b *testing.B) {
	run := func(name string, measure func(b *testing.B, f *fixture, p *Process) measured) {
		b.Run(name, func(b *testing.B) {
			f := readFixture(b)
			p := f.start(b, map[string]string{"profile": "macronode"})
			m := measure(b, f, p)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(m.Entries/m.Seconds, "entries/s")
			b.ReportMetric(m.CPU*1e6/m.Entries, "µs-CPU/entry")
		})
	}
	run("go", benchGo)
	for _, name := range slices.Sorted(maps.Keys(driven)) {
		if name == "python/asyncio" {
			continue // the same encoder behind another loop
		}
		run(name, func(b *testing.B, f *fixture, p *Process) measured {
			d := startDriver(b, name)
			d.connect(f, filepath.Join(p.Home, "ledger.sock"))
			told := d.do(ask{Op: "bench", Seconds: clientsBenchTime.Seconds()}).Bench
			d.do(ask{Op: "close"})
			return *told
		})
	}
}

func benchGo(b *testing.B, f *fixture, p *Process) (m measured) {
	const window = 16
	c := f.dial(b, p)
	asset, _ := wire.ParseAsset("EUR")
	fields := wire.Fields{Kind: wire.KindMint, Account: "bank/account/000001", Amount: wire.AmountOf(1), Asset: asset, Memo: make([]byte, 100)}
	began, cpu := time.Now(), usedCPU(b)
	var underWay []*client.Pending
	var free []*client.Batch
	settle := func() {
		oldest := underWay[0]
		underWay = underWay[1:]
		result, err := oldest.Wait(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for i := range oldest.Batch().Len() {
			if seq, _ := result.Outcome(i); seq != 0 {
				m.Entries++
			}
		}
		oldest.Batch().Reset()
		free = append(free, oldest.Batch())
	}
	for time.Since(began) < clientsBenchTime {
		if len(underWay) == window {
			settle()
		}
		batch := new(client.Batch)
		if n := len(free); n > 0 {
			batch, free = free[n-1], free[:n-1]
		}
		fields.Timestamp = time.Now().UnixMilli()
		for range 256 {
			fields.Nonce = client.NewNonce()
			if err := batch.Add(&fields); err != nil {
				b.Fatal(err)
			}
		}
		underWay = append(underWay, c.Submit(b.Context(), batch))
	}
	for len(underWay) > 0 {
		settle()
	}
	m.Seconds, m.CPU = time.Since(began).Seconds(), usedCPU(b)-cpu
	return m
}

// usedCPU returns what this process has used, in seconds.
func usedCPU(b *testing.B) float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
