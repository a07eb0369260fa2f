// Package fakes3 stands in for an object store in tests. Store takes the requests of package
// bucket as the S3 API has them, keeps objects in memory and hands them back; Faulty goes before
// it, or before a real store, and lets the network fail.
//
//	client ─▶ Faulty ─▶ Store, or a proxy to a real one
//
// Store knows one bucket after another by path, conditional writes, and lists. It checks no
// signature.
package fakes3

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Store is an object store in memory. The zero Store is empty.
type Store struct {
	// Unconditional makes it ignore the conditions of writes, as old stores do.
	Unconditional bool
	// PageKeys is how many keys a page of a list has; 0 = 1000.
	PageKeys int

	mu      sync.Mutex
	objects map[string][]byte // by path, with the bucket
}

// Object returns an object of a bucket; nil where there is none.
func (s *Store) Object(bucket, key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects["/"+bucket+"/"+key]
}

// Keys returns the keys of a bucket, sorted.
func (s *Store) Keys(bucket string) (keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for path := range s.objects {
		if key, ok := strings.CutPrefix(path, "/"+bucket+"/"); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// ServeHTTP answers a request.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPut:
		s.put(w, r)
	case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		s.list(w, r)
	case r.Method == http.MethodGet:
		s.mu.Lock()
		object, ok := s.objects[r.URL.Path]
		s.mu.Unlock()
		if !ok {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", etag(object))
		w.Header().Set("Content-Length", fmt.Sprint(len(object)))
		_, _ = w.Write(object)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented")
	}
}

func etag(object []byte) string {
	sum := md5.Sum(object)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, http.StatusText(status))
}

func (s *Store) put(w http.ResponseWriter, r *http.Request) {
	object, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender has gone: nothing is stored
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, there := s.objects[r.URL.Path]
	none, match := r.Header.Get("If-None-Match"), r.Header.Get("If-Match")
	switch {
	case s.Unconditional:
	case none == "*" && there, match != "" && there && match != etag(before):
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	case match != "" && !there:
		refuse(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	if s.objects == nil {
		s.objects = map[string][]byte{}
	}
	s.objects[r.URL.Path] = object
	w.Header().Set("ETag", etag(object))
}

type listed struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []struct{ Key string }
	CommonPrefixes        []struct{ Prefix string }
}

// list answers with the keys behind the token, which is the last key of the page before, or behind start-after.
func (s *Store) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	prefix, after := query.Get("prefix"), max(query.Get("continuation-token"), query.Get("start-after"))
	answer, page := listed{}, s.PageKeys
	if page == 0 {
		page = 1000
	}
	if keys, err := strconv.Atoi(query.Get("max-keys")); err == nil {
		page = min(page, keys)
	}
	folders := map[string]bool{}
	for _, key := range s.Keys(strings.Trim(r.URL.Path, "/")) {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || key <= after {
			continue
		}
		if len(answer.Contents)+len(folders) == page {
			answer.IsTruncated = true
			break
		}
		answer.NextContinuationToken = key
		if folder, _, inside := strings.Cut(rest, "/"); inside {
			folders[prefix+folder+"/"] = true
			continue
		}
		answer.Contents = append(answer.Contents, struct{ Key string }{key})
	}
	if !answer.IsTruncated {
		answer.NextContinuationToken = ""
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		answer.CommonPrefixes = append(answer.CommonPrefixes, struct{ Prefix string }{folder})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(answer)
}
