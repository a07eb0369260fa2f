package sidecar

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// client trusts the sidecar's certificate and nothing else.
func (o *outer) client() *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(o.https.certificates.current.Load().Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, DisableCompression: true}
	o.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (o *outer) get(method, path string, header ...string) answer {
	o.t.Helper()
	return o.getWith(o.client(), method, path, header...)
}

func (o *outer) getWith(client *http.Client, method, path string, header ...string) answer {
	o.t.Helper()
	request, err := http.NewRequestWithContext(o.t.Context(), method, "https://"+o.https.addr()+path, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		o.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func TestHTTPSAnswersTwoPathsAndNothingElse(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(3)
	for _, test := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/roots", 200, `{"roots":[{"seq":3,`},
		{"HEAD", "/roots", 200, ""},
		{"GET", "/metrics", 200, "ledger_commits_total 1"},
		{"HEAD", "/metrics", 200, ""},
		{"GET", "/", 404, "404: there is /roots and /metrics here, and nothing else"},
		{"GET", "/roots/", 404, "nothing else"},
		{"GET", "//roots", 404, "nothing else"},
		{"GET", "/metrics/../roots", 404, "nothing else"},
		{"GET", "/debug/pprof/", 404, "nothing else"},
		{"GET", "/Roots", 404, "nothing else"},
		{"POST", "/nothing", 404, "nothing else"},
		{"POST", "/roots", 405, "405: /roots can be read with GET and HEAD"},
		{"PUT", "/roots", 405, "GET and HEAD"},
		{"DELETE", "/metrics", 405, "405: /metrics can be read"},
		{"OPTIONS", "/roots", 405, "GET and HEAD"},
		{"TRACE", "/roots", 405, "GET and HEAD"},
	} {
		got := o.get(test.method, test.path)
		if got.status != test.status || !strings.Contains(got.body, test.says) || test.method == "HEAD" && got.body != "" {
			t.Errorf("%s %s: %d %.200s, want %d and %q", test.method, test.path, got.status, got.body, test.status, test.says)
		}
		if allow := got.header.Get("Allow"); (got.status == 405) != (allow == "GET, HEAD") {
			t.Errorf("%s %s: Allow is %q", test.method, test.path, allow)
		}
	}
}

func TestRootsNamesWhatIsWrong(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(3)
	for _, test := range []struct{ query, says string }{
		{"since=x", `parameter since is "x"`},
		{"since=-1", "parameter since"},
		{"since=", "parameter since"},
		{"since=1.5", "parameter since"},
		{"since=99999999999999999999", "parameter since"},
		{"limit=0", "parameter limit is \"0\": it has to be a number in 1..10000"},
		{"limit=10001", "parameter limit"},
		{"limit=ten", "parameter limit"},
		{"wait=30", `parameter wait is "30": it has to be a duration such as 30s`},
		{"wait=-1s", "parameter wait"},
		{"proof=yes", "parameter proof is \"yes\": it has to be 0 or 1"},
		{"since=4&proof=1", "parameter since is 4: with proof it has to be a size that the tree has had, and it has 3"},
		{"to=4", "parameter to is 4: it has to be a size that the tree has had, and it has 3"},
		{"to=0", "parameter to is \"0\": it has to be a tree size above 0"},
		{"since=2&to=1", "parameter to is a size from since on"},
		{"to=1&stable=1", "parameter to"},
		{"to=1&wait=1s", "parameter to"},
		{"since=1&since=2", "parameter since is given 2 times"},
		{"sinse=1", `unknown parameter "sinse"`},
		{"since=1&x", `unknown parameter "x"`},
		{"since=%zz", "does not decode"},
		{"since=1;limit=2", "does not decode"},
	} {
		got := o.get("GET", "/roots?"+test.query)
		if got.status != 400 || !strings.HasPrefix(got.body, "400: ") || !strings.Contains(got.body, test.says) {
			t.Errorf("%s: %d %s, want 400 and %q", test.query, got.status, got.body, test.says)
		}
	}
}

// rootsAnswer is the JSON as a reader that knows nothing of this package sees it.
type rootsAnswer struct {
	Roots []struct {
		Seq  uint64 `json:"seq"`
		Root string `json:"root"`
		TS   int64  `json:"ts"`
	} `json:"roots"`
	Next        uint64        `json:"next"`
	Checkpoint  string        `json:"checkpoint"`
	Consistency []merkle.Hash `json:"consistency"`
}

func parseRoots(t *testing.T, text string) (a rootsAnswer) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return a
}

// A remote reader follows with proofs and verifies every step with the public key
// alone.
func TestRemoteReader(t *testing.T) {
	o := newOuter(t, func(c *Config) { c.Checkpoint.IntervalEntries = 300 })
	verifier, err := note.NewVerifier(o.identity.VerifyKey)
	if err != nil {
		t.Fatal(err)
	}
	client := o.client()
	known := merkle.Checkpoint{Root: o.hash.Empty()}
	for i := range 20 {
		for range 1 + i%3 {
			o.commit(1 + 7*i)
		}
		got := o.getWith(client, "GET", "/roots?proof=1&since="+strconv.FormatUint(known.Size, 10))
		if got.status != 200 || got.header.Get("Content-Type") != "application/json" {
			t.Fatalf("%d %s", got.status, got.body)
		}
		a := parseRoots(t, got.body)
		if len(a.Roots) != 1+i%3 || a.Next != o.committer.Head().Size || !strings.Contains(got.body, `"consistency":[`) {
			t.Fatalf("since %d: %s", known.Size, got.body)
		}
		checkpoint, err := merkle.OpenCheckpoint([]byte(a.Checkpoint), verifier)
		if err != nil {
			t.Fatal(err)
		}
		if last := a.Roots[len(a.Roots)-1]; checkpoint.Size != last.Seq || checkpoint.Root.String() != last.Root || last.TS == 0 {
			t.Fatalf("checkpoint %+v, last root %+v", checkpoint, last)
		}
		if err := merkle.VerifyConsistency(o.hash, known.Size, known.Root, checkpoint.Size, checkpoint.Root, a.Consistency); err != nil {
			t.Fatalf("from %d to %d: %v", known.Size, checkpoint.Size, err)
		}
		known = checkpoint
	}
	plain := o.getWith(client, "GET", "/roots", "Accept", "text/plain")
	if checkpoint, err := merkle.OpenCheckpoint([]byte(plain.body), verifier); err != nil || checkpoint != known {
		t.Errorf("text/plain gives %q (%v)", plain.body, err)
	}
	if kind := plain.header.Get("Content-Type"); kind != "text/plain; charset=utf-8" {
		t.Errorf("its type is %s", kind)
	}
}

// With to the roots and the proof end at any size that the tree has had.
func TestRootsUpToASize(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(300)
	whole := parseRoots(t, o.get("GET", "/roots?limit=10000").body)
	at := func(size uint64) merkle.Hash {
		root, err := o.roots.prover.RootAt(size)
		if err != nil {
			t.Fatal(err)
		}
		return root
	}
	for _, ends := range [][2]uint64{{1, 2}, {17, 256}, {100, 299}, {5, 300}, {300, 300}, {0, 77}} {
		a := parseRoots(t, o.get("GET", fmt.Sprintf("/roots?limit=10000&proof=1&since=%d&to=%d", ends[0], ends[1])).body)
		if err := merkle.VerifyConsistency(o.hash, ends[0], at(ends[0]), ends[1], at(ends[1]), a.Consistency); err != nil {
			t.Errorf("from %d to %d: %v", ends[0], ends[1], err)
		}
		want, next := 0, ends[0]
		for _, root := range whole.Roots {
			if root.Seq > ends[0] && root.Seq <= ends[1] {
				want, next = want+1, root.Seq
			}
		}
		if len(a.Roots) != want || a.Next != next || a.Checkpoint != whole.Checkpoint {
			t.Errorf("from %d to %d: %d roots and next %d, want %d and %d", ends[0], ends[1], len(a.Roots), a.Next, want, next)
		}
	}
}

func TestEmptyLedgerOverHTTPS(t *testing.T) {
	o := newOuter(t, nil)
	a := parseRoots(t, o.get("GET", "/roots?proof=1").body)
	if len(a.Roots) != 0 || a.Next != 0 || !strings.Contains(a.Checkpoint, "\n0\n") {
		t.Errorf("%+v", a)
	}
}

func TestETag(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(3)
	first := o.get("GET", "/roots")
	tag := first.header.Get("ETag")
	if tag == "" || !strings.Contains(strings.Join(first.header.Values("Vary"), ","), "Accept") {
		t.Fatalf("headers %v", first.header)
	}
	for _, test := range []struct {
		match, accept string
		status        int
	}{
		{tag, "", 304}, {`"x", ` + tag, "", 304}, {strings.TrimPrefix(tag, "W/"), "", 304}, {"*", "", 304},
		{`"x"`, "", 200}, {tag, "text/plain", 200}, {tag, "application/json", 304}, {tag, "*/*", 304},
	} {
		got := o.get("GET", "/roots", "If-None-Match", test.match, "Accept", test.accept)
		if got.status != test.status || got.status == 304 && got.body != "" {
			t.Errorf("If-None-Match %s, Accept %s: %d, want %d", test.match, test.accept, got.status, test.status)
		}
	}
	o.commit(1)
	if got := o.get("GET", "/roots", "If-None-Match", tag); got.status != 200 {
		t.Errorf("after a commit: %d", got.status)
	}
}

func TestGzip(t *testing.T) {
	o := newOuter(t, nil)
	for range 50 {
		o.commit(1)
	}
	plain, packed := o.get("GET", "/roots"), o.get("GET", "/roots", "Accept-Encoding", "gzip")
	if plain.header.Get("Content-Encoding") != "" || packed.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("encodings %q and %q", plain.header.Get("Content-Encoding"), packed.header.Get("Content-Encoding"))
	}
	reader, err := gzip.NewReader(strings.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(reader); err != nil || string(text) != plain.body {
		t.Errorf("what was packed differs (%v)", err)
	}
	if small := o.get("GET", "/roots?since=50", "Accept-Encoding", "gzip"); small.header.Get("Content-Encoding") != "" {
		t.Error("a short answer was packed")
	}
}

func TestLongPoll(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(2)
	client := o.client()
	if got := o.getWith(client, "GET", "/roots?since=2&wait=50ms"); got.status != 200 || len(parseRoots(t, got.body).Roots) != 0 {
		t.Errorf("a wait without a commit: %d %s", got.status, got.body)
	}
	told := make(chan answer, 1)
	go func() {
		defer close(told)
		told <- o.getWith(client, "GET", "/roots?since=2&wait=30s")
	}()
	select {
	case got := <-told:
		t.Fatalf("it did not wait: %+v", got)
	case <-time.After(100 * time.Millisecond):
	}
	o.commit(5)
	if a := parseRoots(t, (<-told).body); len(a.Roots) != 1 || a.Roots[0].Seq != 7 || a.Next != 7 {
		t.Errorf("%+v", a)
	}
}

// Who waits is answered when the sidecar stops, so that stopping is not waiting.
func TestStopAnswersThoseWhoWait(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(2)
	client := o.client()
	client.Timeout = 0
	waits := make(chan struct{}, 2)
	head := o.roots.head
	o.roots.head = func() *committer.Head { // the first thing that who waits looks at
		waits <- struct{}{}
		return head()
	}
	told := make(chan answer, 1)
	go func() {
		defer close(told)
		told <- o.getWith(client, "GET", "/roots?since=2&wait=1m")
	}()
	select {
	case <-waits:
	case got := <-told:
		t.Fatalf("it did not wait: %+v", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // half of what was to be waited
	defer cancel()
	if err := o.https.close(ctx); err != nil {
		t.Error(err)
	}
	if got := <-told; got.status != 200 {
		t.Errorf("%+v", got)
	}
}

func TestTLS13Only(t *testing.T) {
	o := newOuter(t, nil)
	_, err := tls.Dial("tcp", o.https.addr(), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
	conn, err := tls.Dial("tcp", o.https.addr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if version := conn.ConnectionState().Version; version != tls.VersionTLS13 {
		t.Errorf("version %s", tls.VersionName(version))
	}
	plain, err := http.Get("http://" + o.https.addr() + "/roots") // net/http answers in clear that it is TLS
	if err == nil {
		defer plain.Body.Close()
		if plain.StatusCode != 400 {
			t.Errorf("in clear: %d", plain.StatusCode)
		}
	}
	o.until("two failed handshakes to be counted", func() bool {
		return strings.Contains(o.get("GET", "/metrics").body, "\ntls_handshake_failures_total 2\n")
	})
}

func TestConnectionCap(t *testing.T) {
	o := newOuter(t, func(c *Config) { c.HTTPS.MaxConnections = 2 })
	var open []net.Conn
	for range 2 {
		conn, err := tls.Dial("tcp", o.https.addr(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
	}
	if conn, err := tls.Dial("tcp", o.https.addr(), &tls.Config{InsecureSkipVerify: true}); err == nil {
		conn.Close()
		t.Fatal("a third connection got a handshake")
	}
	if n := o.https.listener.refused.Load(); n != 1 {
		t.Errorf("%d were refused", n)
	}
	for _, conn := range open {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
	o.until("the closed ones to be gone", func() bool { return o.https.listener.open.Load() == 0 })
	if got := o.get("GET", "/roots"); got.status != 200 {
		t.Errorf("after they closed: %d", got.status)
	}
}

func TestLongHeaderIsRefused(t *testing.T) {
	o := newOuter(t, nil)
	conn, err := tls.Dial("tcp", o.https.addr(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var request bytes.Buffer
	request.WriteString("GET /roots HTTP/1.1\r\nHost: x\r\nX: ")
	request.Write(bytes.Repeat([]byte("a"), 64<<10))
	request.WriteString("\r\n\r\n")
	_, _ = conn.Write(request.Bytes()) // the server may end it before all is written
	status, _ := io.ReadAll(io.LimitReader(conn, 12))
	if string(status) != "HTTP/1.1 431" {
		t.Errorf("it answers %q", status)
	}
}

func TestPortThatIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, want := range map[string]string{taken.Addr().String(): "another program has", "192.0.2.1:0": "no address of this machine"} {
		if _, err := listenHTTPS(addr); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--https") {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func BenchmarkRootsOverHTTPS(b *testing.B) {
	o := newOuter(b, nil)
	for range 100 {
		o.commit(16)
	}
	client := o.client()
	for b.Loop() {
		if got := o.getWith(client, "GET", "/roots?since=1584"); got.status != 200 {
			b.Fatal(got.status)
		}
	}
}
