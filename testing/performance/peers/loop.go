package main

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	entryBytes  = 200
	warmup      = time.Second
	openMost    = 1000 // entries of a request of the open loop
	openWaiting = 1 << 16
)

// entries makes n payloads that do not compress, each with a number of its own.
func entries(n int, next *atomic.Uint64) [][]byte {
	id := next.Add(uint64(n)) - uint64(n)
	block := make([]byte, n*entryBytes)
	all := make([][]byte, n)
	for i := range all {
		all[i] = block[i*entryBytes : (i+1)*entryBytes]
		x := (id + uint64(i) + 1) * 0x9e3779b97f4a7c15
		for k := 8; k < entryBytes; k += 8 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			binary.LittleEndian.PutUint64(all[i][k:], x)
		}
		binary.BigEndian.PutUint64(all[i], id+uint64(i)+1)
	}
	return all
}

// tally is what one client counted.
type tally struct {
	latencies  []time.Duration
	entries    int
	errors     int
	firstError string
}

func (t *tally) add(err error, took time.Duration, entries int) {
	if err != nil {
		if t.errors++; t.firstError == "" {
			t.firstError = err.Error()
		}
		return
	}
	t.latencies = append(t.latencies, took)
	t.entries += entries
}

// closedLoop has every client send one request after the other.
func closedLoop(ctx context.Context, i *instance, s shape, length time.Duration) figures {
	begin := time.Now().Add(warmup)
	end := begin.Add(length)
	tallies := make([]tally, s.clients)
	var next atomic.Uint64
	var running sync.WaitGroup
	for client := range s.clients {
		running.Go(func() {
			for ctx.Err() == nil {
				all := entries(s.batch, &next)
				started := time.Now()
				if started.After(end) {
					return
				}
				err := i.append(ctx, client, all)
				if now := time.Now(); now.After(begin) && now.Before(end) {
					tallies[client].add(err, now.Sub(started), s.batch)
				}
				if err != nil {
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	return i.watch(begin, end, &running, tallies)
}

// openLoop sends on schedule, whatever the answers do; latencies count from when a
// request was due. Batches are log-normal with median 16 and 90th percentile 64.
func openLoop(ctx context.Context, i *instance, s shape, length time.Duration) figures {
	type request struct {
		due     time.Time
		entries int
	}
	begin := time.Now().Add(warmup)
	end := begin.Add(length)
	waiting := make(chan request, openWaiting)
	tallies := make([]tally, s.clients)
	var next atomic.Uint64
	var running sync.WaitGroup
	for client := range s.clients {
		running.Go(func() {
			for r := range waiting {
				err := i.append(ctx, client, entries(r.entries, &next))
				if r.due.After(begin) {
					tallies[client].add(err, time.Since(r.due), r.entries)
				}
			}
		})
	}
	go func() {
		runtime.LockOSThread() // the timers of the Go scheduler are up to 1 ms late
		defer close(waiting)
		sizes := rand.New(rand.NewPCG(1, 2))
		gap := time.Duration(float64(time.Second) / s.rate)
		for due := time.Now(); due.Before(end) && ctx.Err() == nil; due = due.Add(gap) {
			for wait := time.Until(due); wait > 0; wait = time.Until(due) {
				nap := syscall.NsecToTimespec(int64(wait))
				_ = syscall.Nanosleep(&nap, nil)
			}
			size := int(math.Round(16 * math.Exp(sizes.NormFloat64()*1.0817)))
			waiting <- request{due, min(max(size, 1), openMost)}
		}
	}()
	return i.watch(begin, end, &running, tallies)
}

// watch measures the processes between begin and end, waits, and adds up.
func (i *instance) watch(begin, end time.Time, running *sync.WaitGroup, tallies []tally) (f figures) {
	pids := i.pids
	if len(pids) == 0 {
		pids = []int{os.Getpid()}
	}
	time.Sleep(time.Until(begin))
	before := cpuOf(pids)
	time.Sleep(time.Until(end))
	cpu := cpuOf(pids) - before
	f.RSSMiB = rssOf(pids)
	running.Wait()
	var latencies []time.Duration
	entries := 0
	for _, t := range tallies {
		latencies = append(latencies, t.latencies...)
		entries += t.entries
		if f.Errors += t.errors; f.FirstError == "" {
			f.FirstError = t.firstError
		}
	}
	if len(latencies) == 0 {
		return f
	}
	slices.Sort(latencies)
	f.EntriesPerSecond = float64(entries) / end.Sub(begin).Seconds()
	f.P50 = latencies[len(latencies)/2].Seconds() * 1e3
	f.P99 = latencies[len(latencies)*99/100].Seconds() * 1e3
	f.CPUMicros = cpu.Seconds() * 1e6 / float64(entries)
	return f
}

// cpuOf adds up user and system time (proc(5), fields 14 and 15, in ticks of 10 ms).
func cpuOf(pids []int) (total time.Duration) {
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		total += time.Duration(user+system) * 10 * time.Millisecond
	}
	return total
}

// rssOf adds up proportional set sizes: the processes of one server share memory.
func rssOf(pids []int) (mib float64) {
	for _, pid := range pids {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, _ := strconv.ParseFloat(strings.Fields(value)[0], 64)
				mib += kb / 1024
			}
		}
	}
	return mib
}
