package sidecartest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/archive/bucket/fakes3"
)

// checkTerms reads every object of every log in a store as it lies there, and asks who wrote it: no term has two
// writers. Each archive is whole. It returns the size that each has, by log id, and the terms that were met.
func checkTerms(t *testing.T, objects http.Handler, writers map[string]*way) (sizes map[[16]byte]uint64, terms int) {
	t.Helper()
	place := newWay(t, objects, 0, 0).bucket(t)
	ids, err := archive.Logs(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	sizes = map[[16]byte]uint64{}
	for _, id := range ids {
		folder := hex.EncodeToString(id[:])
		names, err := place.Names(t.Context(), folder)
		if err != nil {
			t.Fatal(err)
		}
		held := map[uint64]string{} // term: who has written in it
		for _, name := range names {
			if !isSegment(name) {
				continue
			}
			object, _, err := place.Read(t.Context(), folder+"/"+name, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			writer := writerOf(t, writers, fmt.Sprintf("/%s/takeover/%s/%s", fakes3.Bucket, folder, name), object)
			term := termOf(t, name, object)
			if other := held[term]; other != "" && other != writer {
				t.Errorf("term %d of log %s has two writers: %s is by %s, and before it %s has written", term, folder, name, writer, other)
			}
			held[term] = writer
		}
		terms += len(held)
		r, err := archive.OpenReader(t.Context(), place, id, nil)
		if err == nil {
			err = r.Verify(t.Context(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		sizes[id] = r.Head().Size
	}
	return sizes, terms
}

// writerOf returns from where an object came: from one place.
func writerOf(t *testing.T, writers map[string]*way, key string, object []byte) string {
	t.Helper()
	var from []string
	for name, w := range writers {
		w.mu.Lock()
		if w.sent[sent{key, sha256.Sum256(object)}] {
			from = append(from, name)
		}
		w.mu.Unlock()
	}
	if len(from) != 1 {
		t.Fatalf("%s was written by %v", key, from)
	}
	return from[0]
}

// termOf returns the term that an object is written in, read from its bytes as the comment of package archive has
// them; of a fence the one that it begins, which is that of who wrote it.
func termOf(t *testing.T, name string, object []byte) uint64 {
	t.Helper()
	if len(object) < 184 || string(object[:8]) != "RLGSEG02" {
		t.Fatalf("%s does not begin as a segment does", name)
	}
	term, commits := binary.LittleEndian.Uint64(object[144:]), binary.LittleEndian.Uint32(object[120:])
	named := uint64(1)
	if len(name) > len("segment-")+20 {
		if _, err := fmt.Sscanf(name[len("segment-")+21:], "%d", &named); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if fence := commits == 0; fence && term <= named || !fence && term != named {
		t.Errorf("%s with %d commits is of term %d", name, commits, term)
	}
	return term
}
