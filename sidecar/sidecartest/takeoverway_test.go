package sidecartest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/archive/bucket"
	"github.com/rustyonions/ron-ledger/archive/bucket/fakes3"
)

// way is the network between one sidecar and the object store. It remembers what went there, and what the store took.
type way struct {
	endpoint string
	cut      atomic.Bool // nothing gets through
	noise    int         // requests in a hundred that meet something

	mu     sync.Mutex
	random *rand.Rand
	tried  map[string]time.Time // by key: when it was first asked to be written, since it was last taken
	sent   map[sent]bool        // whatever was answered: of one that is killed nobody hears the answer
	taken  []taken
}

// sent is an object on its way.
type sent struct {
	key string
	sum [sha256.Size]byte
}

// taken is an object that the store took.
type taken struct {
	key       string
	tried, at time.Time
}

// newWay makes a way to a store, which fails as seed has it.
func newWay(t *testing.T, next http.Handler, seed uint64, noise int) *way {
	t.Helper()
	w := &way{noise: noise, random: rand.New(rand.NewPCG(seed, uint64(noise))), tried: map[string]time.Time{}, sent: map[sent]bool{}}
	server := httptest.NewServer(&fakes3.Faulty{Next: w.recording(next), Decide: w.decide})
	t.Cleanup(server.Close)
	w.endpoint = server.URL
	return w
}

func (w *way) decide(r *http.Request) fakes3.Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, again := w.tried[r.URL.Path]; r.Method == http.MethodPut && !again {
		w.tried[r.URL.Path] = time.Now()
	}
	if w.cut.Load() {
		return []fakes3.Fault{{Lost: true}, {Status: 503}, {Delay: 10 * time.Second, Lost: true}}[w.random.IntN(3)]
	}
	if w.random.IntN(100) >= w.noise {
		return fakes3.Fault{}
	}
	pause := time.Duration(w.random.Int64N(int64(100 * time.Millisecond)))
	return []fakes3.Fault{
		{Status: 500}, {Status: 503}, {Status: 409}, {Status: 412}, {Lost: true}, {Unanswered: true}, {Hangs: true}, {Delay: pause}, {Again: pause + 1}, {Late: pause + 1},
	}[w.random.IntN(10)]
}

// recording passes requests on, and notes objects.
func (w *way) recording(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			next.ServeHTTP(answer, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		w.sent[sent{r.URL.Path, sha256.Sum256(body)}] = true
		w.mu.Unlock()
		status := &statusWriter{answer, http.StatusOK}
		next.ServeHTTP(status, r)
		if status.status != http.StatusOK {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.taken = append(w.taken, taken{r.URL.Path, w.tried[r.URL.Path], time.Now()})
		delete(w.tried, r.URL.Path)
	})
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func isSegment(key string) bool { return strings.HasPrefix(path.Base(key), "segment-") }

// segments counts those that were taken.
func (w *way) segments() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.taken {
		if isSegment(o.key) {
			n++
		}
	}
	return n
}

// slowest returns the longest time, up to end, in which a segment was being written, and the head: from the first
// attempt, however many failed, until it was taken.
func (w *way) slowest(end time.Time) (segment, head time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	note := func(key string, took time.Duration) {
		switch {
		case isSegment(key):
			segment = max(segment, took)
		case path.Base(key) == "head":
			head = max(head, took)
		}
	}
	for _, o := range w.taken {
		if o.at.After(end) {
			o.at = end
		}
		note(o.key, o.at.Sub(o.tried))
	}
	for key, tried := range w.tried {
		note(key, end.Sub(tried))
	}
	return segment, head
}

// objectStore returns a store in memory, or a real one, of the program that VERSITYGW names.
func objectStore(t *testing.T) http.Handler {
	t.Helper()
	program := os.Getenv("VERSITYGW")
	if program == "" {
		return new(fakes3.Store)
	}
	endpoint, stop, err := fakes3.StartGateway(program, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	proxy, err := fakes3.Proxy(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return proxy
}

// place is the URL of the archive behind a way.
func (w *way) place() string {
	return fmt.Sprintf("s3://%s/takeover?endpoint=%s&timeout=1s", fakes3.Bucket, w.endpoint)
}

// archived returns the environment of a sidecar whose archive lies behind a way.
func (w *way) archived(key string, further ...string) []string {
	return append([]string{
		"AWS_ACCESS_KEY_ID=" + fakes3.GatewayKeyID, "AWS_SECRET_ACCESS_KEY=" + fakes3.GatewaySecret, key + "=" + w.place(),
		"RON_LEDGER_SHUTDOWN_TIMEOUT=60s",
	}, further...)
}

// bucket opens the archive behind a way.
func (w *way) bucket(t *testing.T) *bucket.Bucket {
	t.Helper()
	p, err := bucket.ParsePlace(w.place())
	if err != nil {
		t.Fatal(err)
	}
	return bucket.New(p, func() (bucket.Credentials, error) {
		return bucket.Credentials{KeyID: fakes3.GatewayKeyID, Secret: fakes3.GatewaySecret}, nil
	}, nil)
}
