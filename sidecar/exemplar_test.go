package sidecar

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
)

// scrape asks for the metrics in one of their formats.
func (o *outer) scrape(accept string) (body []byte, format expfmt.Format) {
	o.t.Helper()
	request := httptest.NewRequest("GET", "/metrics", nil)
	request.Header.Set("Accept", accept)
	answer := httptest.NewRecorder()
	o.metrics.handler().ServeHTTP(answer, request)
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.Code != http.StatusOK {
		o.t.Fatalf("%s: %d, %v", accept, answer.Code, err)
	}
	return body, expfmt.ResponseFormat(answer.Result().Header)
}

const (
	acceptOpenMetrics = "application/openmetrics-text; version=1.0.0"
	acceptProtobuf    = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

// An exemplar names a request, in both formats that have exemplars.
func TestExemplars(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(2)
	text, _ := o.scrape(acceptOpenMetrics)
	if !regexp.MustCompile(`(?m)^ledger_commit_latency_seconds_bucket\{le="[0-9.e+-]+"\} 1 # \{(connection="3",request="0"|request="0",connection="3")\} `).Match(text) {
		t.Errorf("OpenMetrics has no exemplar of the request:\n%s", grep(text, "ledger_commit_latency"))
	}
	body, format := o.scrape(acceptProtobuf)
	decoder := expfmt.NewDecoder(bytes.NewReader(body), format)
	for family := new(dto.MetricFamily); ; family.Reset() {
		if err := decoder.Decode(family); err != nil {
			t.Fatalf("protobuf has no commit latency with an exemplar: %v", err)
		}
		if family.GetName() == "ledger_commit_latency_seconds" {
			h := family.Metric[0].Histogram
			labels := map[string]string{}
			for _, exemplar := range h.Exemplars {
				for _, label := range exemplar.Label {
					labels[label.GetName()] = label.GetValue()
				}
			}
			if h.Schema == nil || labels["connection"] != "3" || labels["request"] != "0" {
				t.Errorf("native histogram: schema %v, exemplars %v", h.Schema, h.Exemplars)
			}
			return
		}
	}
}

func grep(text []byte, word string) string {
	lines := slices.Collect(strings.Lines(string(text)))
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, word) }), "")
}

// The names of all series are the same in the text format and in OpenMetrics: queries need
// not know which one a server asked for.
func TestNamesInOpenMetrics(t *testing.T) {
	o := newOuter(t, nil)
	o.commit(2)
	series := func(accept string) (names []string) {
		text, _ := o.scrape(accept)
		for line := range strings.Lines(string(text)) {
			if name, _, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "#") {
				name, _, _ = strings.Cut(name, "{")
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
	classic, open := series("text/plain"), series(acceptOpenMetrics)
	if !slices.Equal(classic, open) {
		t.Errorf("text has %v\nOpenMetrics has %v", classic, open)
	}
}

func TestExemplarRate(t *testing.T) {
	const ms = int64(time.Millisecond)
	var rate exemplarRate
	for i, c := range []struct {
		nowMs, latencyMs int64
		want             bool
	}{
		{10, 4, true}, {11, 4, false}, {12, 6, false}, {13, 7, true}, {14, 10, false}, {15, 11, true},
		{1014, 1, false}, {1015, 1, true}, {1016, 1, false}, {1017, 2, true},
	} {
		if got := rate.due(c.nowMs*ms, c.latencyMs*ms); got != c.want {
			t.Errorf("%d: at %d ms, %d ms long: %v, want %v", i, c.nowMs, c.latencyMs, got, c.want)
		}
	}
	rate, due := exemplarRate{}, 0
	for latency := int64(100_000); latency < int64(time.Minute); latency += latency/1000 + 1 {
		if rate.due(1, latency) {
			due++
		}
	}
	if due > 34 {
		t.Errorf("%d exemplars within a second", due)
	}
}

// token_expiring counts the connections whose token ends within a day.
func TestTokenExpiring(t *testing.T) {
	o := newOuter(t, nil)
	key, err := o.identity.Keyring.Minting()
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []time.Duration{0, time.Hour, 23 * time.Hour, 25 * time.Hour} {
		var caveats []capability.Caveat
		if left > 0 {
			ends, err := capability.CaveatExpires(time.Now().Add(left).Unix())
			if err != nil {
				t.Fatal(err)
			}
			caveats = append(caveats, ends)
		}
		token, err := capability.Mint(key, append(caveats, capability.CaveatLog(o.logID))...)
		if err != nil {
			t.Fatal(err)
		}
		conn := newPeer(t)
		if why := o.sessions.admit(conn, peercred.Cred{}, &o.config.UDS); why != "" {
			t.Fatal(why)
		}
		ss := &session{sidecar: o.Sidecar, conn: conn, log: zap.NewNop()}
		o.sessions.serves(ss)
		judged, fault := ss.verify(token.Bytes())
		if !fault.OK() {
			t.Fatal(fault)
		}
		ss.grant.Store(judged)
		t.Cleanup(func() { o.sessions.leave(conn, peercred.Cred{}) })
	}
	if conn := newPeer(t); o.sessions.admit(conn, peercred.Cred{}, &o.config.UDS) == "" { // no HELLO yet
		t.Cleanup(func() { o.sessions.leave(conn, peercred.Cred{}) })
	}
	if text, _ := o.scrape("text/plain"); !strings.Contains(string(text), "\ntoken_expiring 2\n") {
		t.Errorf("want 2:\n%s", grep(text, "token_expiring"))
	}
}

// newPeer returns one end of a connected pair.
func newPeer(t *testing.T) *net.UnixConn {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i := range pair {
		file := os.NewFile(uintptr(pair[i]), "pair")
		if ends[i], err = net.FileConn(file); err != nil {
			t.Fatal(err)
		}
		_ = file.Close() // FileConn has its own descriptor
		t.Cleanup(func() { _ = ends[i].Close() })
	}
	return ends[0].(*net.UnixConn)
}
