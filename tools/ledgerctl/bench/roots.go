package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
)

// rootsJSON is what the readers of /roots saw. Latencies are in milliseconds.
type rootsJSON struct {
	Readers  int         `json:"readers"`
	Polls    uint64      `json:"polls"`
	Poll     latencyJSON `json:"poll_ms"` // of short polls
	Seen     uint64      `json:"roots_seen"`
	Lag      latencyJSON `json:"lag_ms"` // from the first answer under a root to a long poll's reader
	Failures uint64      `json:"failures"`
}

// rootReaders read /roots over HTTPS, each over a connection of its own: one in
// longEvery with long polls, the others once every pollEvery.
type rootReaders struct {
	url      string
	count    int
	measured atomic.Bool
	stop     func() // ends and waits for them; may be called again

	mu       sync.Mutex
	acks     map[uint64]time.Time // by size of the tree: when the first answer under it came
	polls    *hdrhistogram.Histogram
	lags     *hdrhistogram.Histogram
	failures uint64
}

const (
	longEvery = 10
	pollEvery = time.Second
	acksKept  = 1 << 16
)

func startRootReaders(ctx context.Context, n int, status serverStatus, ca string) (*rootReaders, error) {
	if ca == "" {
		return nil, fmt.Errorf("read roots: there is no certificate for the HTTPS port: say where with --ca")
	}
	r := &rootReaders{
		url: "https://" + status.HTTPS + "/roots", count: n, acks: map[uint64]time.Time{},
		polls: newLatencies(), lags: newLatencies(),
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	r.stop = func() {
		cancel()
		running.Wait()
	}
	for i := range n {
		h, transport, err := scrape.Client(ca)
		if err != nil {
			r.stop()
			return nil, err
		}
		running.Go(func() {
			defer transport.CloseIdleConnections()
			if i%longEvery == 0 {
				r.longPolls(ctx, h, status.Size)
			} else {
				r.shortPolls(ctx, h, status.Size, pollEvery*time.Duration(i)/time.Duration(n))
			}
		})
	}
	return r, nil
}

// acked is told the size of the tree of every answer.
func (r *rootReaders) acked(size uint64) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.acks[size]; known {
		return
	}
	if len(r.acks) >= acksKept {
		clear(r.acks) // readers are never that far behind, but for a stall
	}
	r.acks[size] = now
}

// rootsRead is the part of an answer of /roots that matters here.
type rootsRead struct {
	Roots []struct {
		Seq uint64 `json:"seq"`
	} `json:"roots"`
	Next uint64 `json:"next"`
}

// longPolls asks for what is new and waits for it. A root that comes before the
// first answer under it has no lag.
func (r *rootReaders) longPolls(ctx context.Context, h *http.Client, since uint64) {
	for ctx.Err() == nil {
		page, err := r.get(ctx, h, fmt.Sprintf("%s?since=%d&wait=20s", r.url, since))
		if err != nil {
			r.failed(ctx)
			continue
		}
		now := time.Now()
		since = page.Next
		if !r.measured.Load() {
			continue
		}
		r.mu.Lock()
		for _, root := range page.Roots {
			lag := time.Duration(0)
			if at, known := r.acks[root.Seq]; known {
				lag = now.Sub(at)
			}
			_ = r.lags.RecordValue(min(max(lag, time.Microsecond), latencyMax).Microseconds()) // in range by min and max
		}
		r.mu.Unlock()
	}
}

// shortPolls asks for the newest roots at every tick, whatever the answer took: the
// latency is from the tick.
func (r *rootReaders) shortPolls(ctx context.Context, h *http.Client, since uint64, offset time.Duration) {
	for due := time.Now().Add(offset); ; due = due.Add(pollEvery) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		page, err := r.get(ctx, h, fmt.Sprintf("%s?since=%d&limit=100", r.url, since))
		if err != nil {
			r.failed(ctx)
			continue
		}
		since = max(page.Next, since)
		if r.measured.Load() {
			r.mu.Lock()
			_ = r.polls.RecordValue(max(time.Since(due), time.Microsecond).Microseconds())
			r.mu.Unlock()
		}
	}
}

func (r *rootReaders) get(ctx context.Context, h *http.Client, url string) (page rootsRead, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return page, err
	}
	answer, err := h.Do(request)
	if err != nil {
		return page, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, scrape.MaxBytes))
	if err != nil {
		return page, err
	}
	if answer.StatusCode != http.StatusOK {
		return page, fmt.Errorf("read roots: %s", answer.Status)
	}
	return page, json.Unmarshal(body, &page)
}

// failed counts a failure that is not the end, and does not let it repeat at once.
func (r *rootReaders) failed(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	r.failures++
	r.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(100 * time.Millisecond):
	}
}

// result is read once the readers have stopped.
func (r *rootReaders) result() *rootsJSON {
	return &rootsJSON{
		Readers: r.count, Polls: uint64(r.polls.TotalCount()), Poll: quantilesOf(r.polls),
		Seen: uint64(r.lags.TotalCount()), Lag: quantilesOf(r.lags), Failures: r.failures,
	}
}
