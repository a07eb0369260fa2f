package ronledger_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/wire"
)

var tomlLine = regexp.MustCompile(`(?m)^([a-z_]+(\.[a-z_]+)* = |\[[a-z_.]+\]$)`)

// TestDocsConfigurations has the sidecar load what documents show of its configuration: all the pieces of one document
// together, since one may need another.
func TestDocsConfigurations(t *testing.T) {
	loaded := 0
	for _, d := range documents(t) {
		pieces := ""
		for _, b := range blocksOf(t, &d) {
			if b.info == "toml" {
				pieces += b.text
			}
		}
		if pieces == "" {
			continue
		}
		file := filepath.Join(t.TempDir(), "ledger.toml")
		if err := os.WriteFile(file, []byte(pieces), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := sidecar.Load([]string{"--config", file, "--home", t.TempDir()}, nil); err != nil {
			t.Errorf("%s: the sidecar does not take\n%s%v", d.path, pieces, err)
		}
		loaded++
	}
	if loaded == 0 {
		t.Error("no document shows a configuration")
	}
}

// TestDocsJSON holds every JSON that a document shows against what reads or writes it.
func TestDocsJSON(t *testing.T) {
	var live map[string]any
	for _, d := range documents(t) {
		for _, b := range blocksOf(t, &d) {
			if b.info != "json" {
				continue
			}
			for line := range strings.Lines(b.text) {
				var shown map[string]any
				if err := json.Unmarshal([]byte(line), &shown); err != nil {
					t.Errorf("%v: %v", b, err)
					continue
				}
				switch {
				case shown["kind"] != nil:
					if err := wire.ParseJSONEntry([]byte(strings.TrimSpace(line)), new(wire.Fields), wire.JSONDefaults{}); err != nil {
						t.Errorf("%v: it is no entry: %v", b, err)
					}
				case shown["roots"] != nil:
					if live == nil {
						live = liveRoots(t)
					}
					if !slices.Equal(members(shown), members(live)) {
						t.Errorf("%v: it has the members %v, /roots has %v", b, members(shown), members(live))
					}
				default:
					t.Errorf("%v: nothing is known that reads or writes this", b)
				}
			}
		}
	}
}

// members returns the names in an object, and in the objects of a list in it.
func members(object map[string]any) []string {
	var names []string
	for name, value := range object {
		names = append(names, name)
		if list, ok := value.([]any); ok && len(list) > 0 {
			if first, ok := list[0].(map[string]any); ok {
				for _, inner := range slices.Sorted(maps.Keys(first)) {
					names = append(names, name+"."+inner)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// liveRoots asks a sidecar for roots with a proof.
func liveRoots(t *testing.T) map[string]any {
	t.Helper()
	st := (&scene{sidecar: true, before: "ledgerctl mint a 1; ledgerctl mint a 1"}).set(t, nil)
	h, transport, err := scrape.Client(filepath.Join(st.home, "tls.crt"))
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	answer, err := h.Get("https://" + st.standIns.Replace("127.0.0.1:5082") + "/roots?since=1&proof=1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	var page map[string]any
	if err == nil {
		err = json.Unmarshal(body, &page)
	}
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v\n%s", answer.Status, err, body)
	}
	return page
}
