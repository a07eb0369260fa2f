package sidecar

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// rootsQuery is what GET /roots was asked.
type rootsQuery struct {
	since uint64
	limit int
	wait  time.Duration
	proof bool
	// stable asks for the slow series: the answer ends at its newest checkpoint.
	stable bool
	// to is the size at which roots and proof end, 0 = that of the checkpoint.
	to uint64
}

// parseRootsQuery reads the parameters. An error names the one that is unknown,
// malformed or given twice.
func parseRootsQuery(raw string) (q rootsQuery, err error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, fmt.Errorf("the query does not decode: %w", err)
	}
	q.limit = rootsLimitDefault
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if n := len(values[name]); n != 1 {
			return q, fmt.Errorf("parameter %s is given %d times", name, n)
		}
		if err := q.set(name, values[name][0]); err != nil {
			return q, err
		}
	}
	if q.stable && q.wait > 0 {
		return q, errors.New("parameter wait is not for stable=1: what is stable changes every checkpoint.publish_interval")
	}
	if q.to > 0 && (q.stable || q.wait > 0 || q.to < q.since) {
		return q, errors.New("parameter to is a size from since on, and for neither wait nor stable")
	}
	return q, nil
}

func (q *rootsQuery) set(name, text string) (err error) {
	want := ""
	switch name {
	case "since":
		q.since, err = strconv.ParseUint(text, 10, 63)
		want = "a tree size: a decimal number"
	case "limit":
		q.limit, err = strconv.Atoi(text)
		if err == nil && (q.limit < 1 || q.limit > rootsLimitMax) {
			err = errors.New("out of range")
		}
		want = fmt.Sprintf("a number in 1..%d", rootsLimitMax)
	case "wait":
		q.wait, err = time.ParseDuration(text)
		if err == nil && q.wait < 0 {
			err = errors.New("negative")
		}
		want = "a duration such as 30s"
	case "proof":
		q.proof, err = zeroOrOne(text)
		want = "0 or 1"
	case "stable":
		q.stable, err = zeroOrOne(text)
		want = "0 or 1"
	case "to":
		q.to, err = strconv.ParseUint(text, 10, 63)
		if err == nil && q.to == 0 {
			err = errors.New("zero")
		}
		want = "a tree size above 0: a decimal number"
	default:
		return fmt.Errorf("unknown parameter %.40q: there are since, to, limit, wait, proof and stable", name)
	}
	if err != nil {
		return fmt.Errorf("parameter %s is %.40q: it has to be %s", name, text, want)
	}
	return nil
}

func zeroOrOne(text string) (bool, error) {
	if text != "0" && text != "1" {
		return false, errors.New("neither")
	}
	return text == "1", nil
}

// serveRoots answers GET /roots?since=N&to=M&limit=K&wait=30s&proof=1&stable=1, all of it optional:
//
//	{"roots":[{"seq":1031,"root":"hex","ts":1728794183999}],"next":1031,
//	 "oldest":1,"checkpoint":"…","consistency":["hex",…]}
//
// roots are those of sizes above since, in order; next is the since of the next
// question: whoever goes on with it misses nothing. The checkpoint is of the size
// of the last published root or a greater one. consistency is there with proof and
// proves from since, which then has to be a size, to the size of the checkpoint; a
// proof that needs forgotten records is a 410. text/plain is the bare checkpoint.
// oldest is there once entries were forgotten: roots of smaller trees are gone, and
// the first root is simply the oldest that is kept. A wait ends early when the
// sidecar stops. With stable the checkpoint is the newest one of the slow series, and
// nothing beyond it is told: all who ask within checkpoint.publish_interval get the
// same. With to the roots and the proof end at that size, which has to be one that the
// tree has had. The answer to a question changes only with the head, which is its ETag.
func (h *httpsServer) serveRoots(w http.ResponseWriter, r *http.Request) {
	q, err := parseRootsQuery(r.URL.RawQuery)
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	head, signed, err := h.roots.upTo(r.Context(), &q)
	if err != nil {
		h.rootsFailed(w, err)
		return
	}
	if q.proof && q.since > head.Size {
		problem(w, http.StatusBadRequest, fmt.Sprintf("parameter since is %d: with proof it has to be a size that the tree has had, and it has %d", q.since, head.Size))
		return
	}
	if q.to > head.Size {
		problem(w, http.StatusBadRequest, fmt.Sprintf("parameter to is %d: it has to be a size that the tree has had, and it has %d", q.to, head.Size))
		return
	}
	plain := prefersText(r.Header.Values("Accept"))
	etag := rootsETag(head, h.roots.oldest(), &q, plain)
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Add("Vary", "Accept")
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body, contentType, err := h.rootsBody(head, signed, &q, plain)
	if err != nil {
		w.Header().Del("ETag")
		h.rootsFailed(w, err)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(body) // a peer that is gone needs no answer
}

// upTo returns how far the answer goes: to the newest checkpoint of the stable series,
// or to the head, and then signed is empty until it is needed.
func (r *rootsSource) upTo(ctx context.Context, q *rootsQuery) (*committer.Head, signedCheckpoint, error) {
	if !q.stable {
		return r.await(ctx, q.since, q.wait), signedCheckpoint{}, nil
	}
	signed, err := r.stable.checkpoint()
	return &committer.Head{Size: signed.size, Root: signed.root}, signed, err
}

func (h *httpsServer) rootsFailed(w http.ResponseWriter, err error) {
	if errors.Is(err, errForgotten) {
		problem(w, http.StatusGone, "parameter proof: the records that the proof needs are no longer kept: ask for one from a larger size")
		return
	}
	h.log.Error("roots could not be read", zap.Error(err))
	problem(w, http.StatusInternalServerError, "the roots could not be read: see the log of ron-ledgerd")
}

// rootsBody makes the answer, the bare checkpoint or JSON.
func (h *httpsServer) rootsBody(head *committer.Head, signed signedCheckpoint, q *rootsQuery, plain bool) (body []byte, contentType string, err error) {
	if signed.text == nil {
		if signed, err = h.roots.signer.sign(head); err != nil {
			return nil, "", err
		}
	}
	if plain {
		return signed.text, "text/plain; charset=utf-8", nil
	}
	page, err := h.roots.page(head, signed, q.since, q.limit)
	if err != nil {
		return nil, "", err
	}
	end := page.Size
	if q.to > 0 {
		end = q.to
		page.endAt(q.to, q.since)
	}
	var proof []merkle.Hash
	if q.proof {
		if proof, err = h.roots.prover.ConsistencyProof(q.since, end); err != nil {
			return nil, "", fmt.Errorf("prove consistency: %w", err)
		}
	}
	body, err = page.appendJSON(nil, proof, q.proof)
	return body, "application/json", err
}

// endAt takes away the roots of greater sizes.
func (p *rootsPage) endAt(size, since uint64) {
	for i := range p.Roots {
		if p.Roots[i].Seq > size {
			p.Roots = p.Roots[:i]
			break
		}
	}
	p.Next = since
	if n := len(p.Roots); n > 0 {
		p.Next = p.Roots[n-1].Seq
	}
}

// appendJSON appends the answer. Roots are appended by hand: a page can hold 10,000.
func (p *rootsPage) appendJSON(dst []byte, proof []merkle.Hash, withProof bool) ([]byte, error) {
	dst = append(dst, `{"roots":[`...)
	for i := range p.Roots {
		if i > 0 {
			dst = append(dst, ',')
		}
		row := &p.Roots[i]
		dst = strconv.AppendUint(append(dst, `{"seq":`...), row.Seq, 10)
		dst = hex.AppendEncode(append(dst, `,"root":"`...), row.Root[:])
		dst = strconv.AppendInt(append(dst, `","ts":`...), row.TimeMs, 10)
		dst = append(dst, '}')
	}
	dst = strconv.AppendUint(append(dst, `],"next":`...), p.Next, 10)
	if p.Oldest > 1 {
		dst = strconv.AppendUint(append(dst, `,"oldest":`...), p.Oldest, 10)
	}
	checkpoint, err := json.Marshal(string(p.Checkpoint))
	if err != nil {
		return nil, fmt.Errorf("write the checkpoint as JSON: %w", err)
	}
	dst = append(append(dst, `,"checkpoint":`...), checkpoint...)
	if withProof {
		dst = append(dst, `,"consistency":[`...)
		for i := range proof {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(hex.AppendEncode(append(dst, '"'), proof[i][:]), '"')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}', '\n'), nil
}

// rootsETag names the state that an answer is made of. It is weak: gzip changes
// the bytes, and the checkpoint may already be that of a later head.
func rootsETag(head *committer.Head, oldest uint64, q *rootsQuery, plain bool) string {
	form := "json"
	if plain {
		form = "text"
	}
	if q.stable {
		form += "-stable"
	}
	return fmt.Sprintf(`W/"%d-%d-%x-%s"`, head.Size, oldest, head.Root[:8], form)
}

// matches reports whether an If-None-Match names the tag, by weak comparison.
func matches(headers []string, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for _, header := range headers {
		for candidate := range strings.SplitSeq(header, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// prefersText reports whether Accept names text/plain before anything that JSON is.
// Weights are not weighed.
func prefersText(headers []string) bool {
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			kind, _, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(kind)) {
			case "text/plain", "text/*":
				return true
			case "application/json", "application/*", "*/*":
				return false
			}
		}
	}
	return false
}
