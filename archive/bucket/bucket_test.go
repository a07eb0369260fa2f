package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/archive/bucket"
	"github.com/rustyonions/ron-ledger/archive/bucket/fakes3"
	"github.com/rustyonions/ron-ledger/store"
)

const secret = fakes3.GatewaySecret

func credentials() (bucket.Credentials, error) {
	return bucket.Credentials{KeyID: fakes3.GatewayKeyID, Secret: secret}, nil
}

// open returns the objects below a prefix of their own.
func open(t *testing.T, endpoint, timeout string, observe func(bucket.Attempt)) *bucket.Bucket {
	t.Helper()
	p, err := bucket.ParsePlace(fmt.Sprintf("s3://ledgers/%016x?endpoint=%s&timeout=%s", rand.Uint64(), endpoint, timeout))
	if err != nil {
		t.Fatal(err)
	}
	return bucket.New(p, credentials, observe)
}

// serve returns the endpoint of a fake with faults before it.
func serve(t *testing.T, s *fakes3.Store, decide func(*http.Request) fakes3.Fault) string {
	t.Helper()
	server := httptest.NewServer(&fakes3.Faulty{Next: s, Decide: decide})
	t.Cleanup(server.Close)
	return server.URL
}

func sound(*http.Request) fakes3.Fault { return fakes3.Fault{} }

// endpoints are the stores that a test holds: the fake, and a real one, of the program that VERSITYGW
// names (just objects).
func endpoints(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"fake": serve(t, &fakes3.Store{PageKeys: 3}, sound)}
	if program := os.Getenv("VERSITYGW"); program != "" {
		endpoint, stop, err := fakes3.StartGateway(program, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		all["real"] = endpoint
	}
	return all
}

// TestObjects is what an archive takes of its place, for a directory and for stores.
func TestObjects(t *testing.T) {
	for name, endpoint := range endpoints(t) {
		t.Run(name, func(t *testing.T) { testObjects(t, open(t, endpoint, "30s", nil)) })
	}
	t.Run("directory", func(t *testing.T) { testObjects(t, store.NewObjects(nil, t.TempDir())) })
	t.Run("memory", func(t *testing.T) { testObjects(t, store.NewObjects(store.Memory(), "/archive")) })
}

type objects interface {
	Prepare(ctx context.Context, folder string) error
	Names(ctx context.Context, folder string) ([]string, error)
	NamesAfter(ctx context.Context, folder, after string, limit int) ([]string, error)
	Read(ctx context.Context, name string, limit int64) ([]byte, string, error)
	Put(ctx context.Context, name string, b []byte, version string) (string, error)
}

func testObjects(t *testing.T, o objects) {
	ctx := t.Context()
	if names, err := o.Names(ctx, ""); err != nil || len(names) > 0 {
		t.Fatalf("an empty place has %v: %v", names, err)
	}
	for _, folder := range []string{"b", "a"} {
		for range 2 {
			if err := o.Prepare(ctx, folder); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, _, err := o.Read(ctx, "a/one", 100); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an object that is not there: %v", err)
	}
	first, err := o.Put(ctx, "a/one", []byte("first"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Put(ctx, "a/one", []byte("other"), ""); !errors.Is(err, store.ErrObjectChanged) {
		t.Fatalf("made twice: %v", err)
	}
	second, err := o.Put(ctx, "a/one", []byte("second"), first)
	if err != nil || second == first {
		t.Fatalf("replaced: %v", err)
	}
	for _, name := range []string{"a/one", "a/two"} {
		if _, err := o.Put(ctx, name, []byte("third"), first); !errors.Is(err, store.ErrObjectChanged) && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("replaced what is not %s: %v", name, err)
		}
	}
	b, version, err := o.Read(ctx, "a/one", 6)
	if err != nil || string(b) != "second" || version != second {
		t.Fatalf("read %q of version %q instead of %q: %v", b, version, second, err)
	}
	if _, _, err := o.Read(ctx, "a/one", 5); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("read more than the limit: %v", err)
	}
	want := []string{"one"}
	for i := range 7 {
		want = append(want, fmt.Sprint("z", i))
		if _, err := o.Put(ctx, fmt.Sprint("a/z", i), nil, ""); err != nil {
			t.Fatal(err)
		}
	}
	names, err := o.Names(ctx, "a")
	names = slices.DeleteFunc(names, func(name string) bool { return name == "probe" })
	if err != nil || !slices.Equal(names, want) {
		t.Fatalf("the folder has %v: %v", names, err)
	}
	for _, after := range []string{"a", "one", "z2", "z25", "z6", "zz"} {
		for _, limit := range []int{1, 3, 4, 100} {
			want := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return name <= after })
			want = want[:min(limit, len(want))]
			got, err := o.NamesAfter(ctx, "a", after, limit)
			if probe := slices.Index(got, "probe"); probe >= 0 { // which only stores have
				got = slices.Delete(got, probe, probe+1)
				want = want[:min(limit-1, len(want))]
			}
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%d names behind %s are %v instead of %v: %v", limit, after, got, want, err)
			}
		}
	}
	if folders, err := o.Names(ctx, ""); err != nil || !slices.Equal(slices.DeleteFunc(folders, func(name string) bool { return name == "b" }), []string{"a"}) {
		t.Fatalf("the folders are %v: %v", folders, err)
	}
	testRace(t, o)
}

// testRace has many make and replace one object at once: one of each round may. A directory cannot
// keep apart who replaces.
func testRace(t *testing.T, o objects) {
	version, rounds := "", 5
	if _, directory := o.(*store.Objects); directory {
		rounds = 1
	}
	for round := range rounds {
		var made atomic.Int32
		var next string
		var writers sync.WaitGroup
		for i := range 8 {
			writers.Go(func() {
				v, err := o.Put(t.Context(), "a/race", fmt.Appendf(nil, "%d of round %d", i, round), version)
				if err == nil {
					made.Add(1)
					next = v
				} else if !errors.Is(err, store.ErrObjectChanged) {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		if made.Load() != 1 {
			t.Fatalf("%d writers have written in round %d", made.Load(), round)
		}
		if version = next; t.Failed() {
			return
		}
	}
}

// TestFaults: whatever happens to a request, what was acknowledged is there, nothing else is
// in its place, and the call ends in time.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]fakes3.Fault{
		"500": {Status: 500}, "503": {Status: 503}, "409": {Status: 409}, "lost": {Lost: true}, "unanswered": {Unanswered: true},
		"hangs": {Hangs: true}, "delayed": {Delay: 20 * time.Millisecond}, "twice": {Again: 10 * time.Millisecond}, "late": {Late: 10 * time.Millisecond},
	} {
		for times := range 3 {
			t.Run(fmt.Sprint(name, times), func(t *testing.T) {
				t.Parallel()
				s, left := new(fakes3.Store), atomic.Int32{}
				left.Store(int32(times))
				endpoint := serve(t, s, func(*http.Request) fakes3.Fault {
					if left.Add(-1) >= 0 {
						return fault
					}
					return fakes3.Fault{}
				})
				var attempts atomic.Int32
				b := open(t, endpoint, "300ms", func(bucket.Attempt) { attempts.Add(1) })
				object := bytes.Repeat([]byte("x"), 100_000)
				_, err := b.Put(t.Context(), "a/one", object, "")
				if err != nil && !errors.Is(err, store.ErrObjectChanged) {
					t.Fatal(err)
				}
				left.Store(int32(times))
				there, _, err := b.Read(t.Context(), "a/one", 1<<20)
				if err != nil || !bytes.Equal(there, object) {
					t.Fatalf("it is not there: %d bytes: %v", len(there), err)
				}
				if attempts.Load() > 2*8 {
					t.Fatalf("%d attempts", attempts.Load())
				}
			})
		}
	}
}

// TestRefused: what is for good is not tried again, says which object and why, and tells no secret.
func TestRefused(t *testing.T) {
	requests := atomic.Int32{}
	endpoint := serve(t, new(fakes3.Store), func(*http.Request) fakes3.Fault {
		requests.Add(1)
		return fakes3.Fault{Status: 403}
	})
	b := open(t, endpoint, "1s", nil)
	_, err1 := b.Put(t.Context(), "a/one", nil, "")
	_, _, err2 := b.Read(t.Context(), "a/one", 1)
	_, err3 := b.Names(t.Context(), "a")
	for _, err := range []error{err1, err2, err3} {
		if err == nil || errors.Is(err, store.ErrObjectChanged) || errors.Is(err, fs.ErrNotExist) ||
			!strings.Contains(err.Error(), "s3://ledgers/") || !strings.Contains(err.Error(), "403") || strings.Contains(err.Error(), secret) {
			t.Errorf("refused: %v", err)
		}
	}
	if requests.Load() != 3 {
		t.Errorf("%d requests", requests.Load())
	}
}

// TestStrayCondition: what reads names no condition, so one that does not hold is somebody else's, and it is
// read again.
func TestStrayCondition(t *testing.T) {
	left := atomic.Int32{}
	endpoint := serve(t, new(fakes3.Store), func(*http.Request) fakes3.Fault {
		if left.Add(-1) >= 0 {
			return fakes3.Fault{Status: http.StatusPreconditionFailed}
		}
		return fakes3.Fault{}
	})
	b := open(t, endpoint, "1s", nil)
	if _, err := b.Put(t.Context(), "a/one", []byte("one"), ""); err != nil {
		t.Fatal(err)
	}
	for times := range int32(3) {
		left.Store(times)
		if names, err := b.Names(t.Context(), "a"); err != nil || !slices.Equal(names, []string{"one"}) {
			t.Errorf("listed behind %d: %v: %v", times, names, err)
		}
		left.Store(times)
		if object, _, err := b.Read(t.Context(), "a/one", 10); err != nil || string(object) != "one" {
			t.Errorf("read behind %d: %q: %v", times, object, err)
		}
	}
	left.Store(3)
	if _, err := b.Names(t.Context(), "a"); err == nil {
		t.Error("one that stays is not told")
	}
}

// TestDown: a store that is not there is an error soon.
func TestDown(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	began := time.Now()
	_, err := open(t, server.URL, "1s", nil).Put(t.Context(), "a/one", nil, "")
	if err == nil || time.Since(began) > 30*time.Second {
		t.Fatalf("after %s: %v", time.Since(began), err)
	}
}

// TestUnconditional: a store that ignores conditions is refused.
func TestUnconditional(t *testing.T) {
	b := open(t, serve(t, &fakes3.Store{Unconditional: true}, sound), "1s", nil)
	if err := b.Prepare(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "two writers") {
		t.Fatalf("it is taken: %v", err)
	}
}

func TestParsePlace(t *testing.T) {
	for text, want := range map[string]string{
		"s3://b":                     "s3://b/name",
		"s3://b/":                    "s3://b/name",
		"s3://b/p/q/":                "s3://b/p/q/name",
		"s3://b/p?region=eu-north-1": "s3://b/p/name",
		"s3://b/p?endpoint=https%3A%2F%2Fh:9000&timeout=5s": "s3://b/p/name",
		"s3://b/p?endpoint=http://h":                        "s3://b/p/name",
	} {
		p, err := bucket.ParsePlace(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if path := bucket.New(p, credentials, nil).Path("name"); path != want {
			t.Errorf("%s: an object lies at %s", text, path)
		}
	}
	for _, text := range []string{
		"", "s3://", "s3:///p", "https://b/p", "s3://key:" + secret + "@b/p", "s3://b/p#x", "s3://b/p?x=1", "s3://b/p?endpoint=h:9000",
		"s3://b/p?endpoint=https://key:" + secret + "@h", "s3://b/p?timeout=1", "s3://b/p?timeout=1h", "s3://b/p?region=", "s3://%zz" + secret,
	} {
		if _, err := bucket.ParsePlace(text); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
