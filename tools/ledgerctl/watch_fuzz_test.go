package main

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// FuzzMonitorAnswer has a monitor at size 60 read anything for an answer. What it takes is the
// size that it knows, or the one larger checkpoint that was ever signed, with its proof.
func FuzzMonitorAnswer(f *testing.F) {
	l := newLiar(f, merkle.SHA256, 1)
	key, err := newLedgerKey(l.key)
	if err != nil {
		f.Fatal(err)
	}
	answer := func(size uint64) []byte {
		l.size = size
		w := httptest.NewRecorder()
		l.ServeHTTP(w, httptest.NewRequest("GET", "/roots?proof=1&since=60", nil))
		return w.Body.Bytes()
	}
	var honest watchedPage
	if err := json.Unmarshal(answer(80), &honest); err != nil {
		f.Fatal(err)
	}
	known := merkle.Checkpoint{Origin: l.signer.Name(), Size: 60, Root: l.root(60)}
	f.Add(answer(60))
	f.Add(answer(80))
	l.history = 1
	f.Add(answer(60)) // signed as well, and no beginning of the other
	l.history = 0
	f.Add([]byte(`{"roots":[{"seq":61,"root":"00"}],"next":18446744073709551615,"checkpoint":"a\n","consistency":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page := new(watchedPage)
		if json.Unmarshal(body, page) != nil {
			return
		}
		w := &watcher{key: key, known: known}
		newest, err := w.open(page)
		if err != nil || w.follows(&newest, page) != nil || w.rootsAgree(&newest, page) != nil {
			return
		}
		switch {
		case newest == known && len(*page.Consistency) == 0:
		case newest.Size == 80 && newest.Root == l.root(80) && slices.Equal(*page.Consistency, *honest.Consistency):
		default:
			t.Errorf("%s was taken, as %+v", body, newest)
		}
	})
}
