package monitor_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/liar"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// FuzzMonitorAnswer has a monitor at size 60 read anything for an answer. What it takes is the
// size that it knows, or the one larger checkpoint that was ever signed, with its proof.
func FuzzMonitorAnswer(f *testing.F) {
	l, err := liar.New(merkle.SHA256, 1, 1)
	if err != nil {
		f.Fatal(err)
	}
	key, err := monitor.ParseKey(l.VKey)
	if err != nil {
		f.Fatal(err)
	}
	answer := func(size uint64) []byte {
		l.Size = size
		w := httptest.NewRecorder()
		l.ServeHTTP(w, httptest.NewRequest("GET", "/roots?proof=1&since=60", nil))
		return w.Body.Bytes()
	}
	var honest monitor.Page
	if err := json.Unmarshal(answer(80), &honest); err != nil {
		f.Fatal(err)
	}
	known := merkle.Checkpoint{Origin: l.Signer.Name(), Size: 60, Root: l.Root(60)}
	f.Add(answer(60))
	f.Add(answer(80))
	l.History = 1
	f.Add(answer(60)) // signed as well, and no beginning of the other
	l.History = 0
	f.Add([]byte(`{"roots":[{"seq":61,"root":"00"}],"next":18446744073709551615,"checkpoint":"a\n","consistency":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page := new(monitor.Page)
		if json.Unmarshal(body, page) != nil {
			return
		}
		w := &monitor.Watcher{Key: key, Known: known}
		newest, err := w.Check(page)
		if err != nil {
			return
		}
		switch {
		case newest == known && len(*page.Consistency) == 0:
		case newest.Size == 80 && newest.Root == l.Root(80) && slices.Equal(*page.Consistency, *honest.Consistency):
		default:
			t.Errorf("%s was taken, as %+v", body, newest)
		}
	})
}
