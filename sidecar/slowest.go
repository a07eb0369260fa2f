package sidecar

import (
	"slices"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/committer"
)

const (
	slowestKept   = 32               // requests of an interval
	slowestOfTime = 10 * time.Minute // an interval; that before it is kept as well
)

// slowest keeps the slowest appends of the last ten to twenty minutes, of each commit at
// most one: the one that waited longest. Bounded, and without an allocation.
//
// Invariant: among holds at most slowestKept requests, and least is the least Total of them once
// it is full, 0 before.
type slowest struct {
	mu     sync.Mutex
	began  int64 // when among began, monotonic ns
	least  int64
	among  []SlowRequest
	before []SlowRequest
}

// SlowRequest is an append and where its time went, in nanoseconds, station after station.
type SlowRequest struct {
	TimeMs     int64  `json:"time_ms"` // of its answer, Unix ms
	Connection uint64 `json:"connection"`
	Request    uint64 `json:"request"`
	UID        uint32 `json:"uid"`
	Entries    int    `json:"commit_entries"` // of the whole commit
	Bytes      int    `json:"commit_bytes"`
	Total      int64  `json:"total_ns"`
	Admission  int64  `json:"admission_ns"` // for its turn to be checked
	Check      int64  `json:"check_ns"`     // caveats and leaf hashes
	Queue      int64  `json:"queue_ns"`     // for the committer
	Commit     int64  `json:"commit_ns"`    // to be decided, and for the commit before to be synced
	Sync       int64  `json:"sync_ns"`      // of the log
	Archive    int64  `json:"archive_ns"`   // for the archive, where commits wait for it (archive.mode = sync)
	Answer     int64  `json:"answer_ns"`    // of all requests of the commit

	publishedNs int64
}

// slowRequest takes a commit's oldest request apart; ok is false where that is no append of a peer.
func slowRequest(info *committer.CommitInfo) (r SlowRequest, ok bool) {
	o := &info.Origin
	if len(info.QueuedNs) == 0 || o.CheckedNs == 0 {
		return r, false
	}
	queued := info.QueuedNs[info.Oldest]
	opened := max(info.OpenedNs, o.CheckedNs) // the commit was opened before it came, perhaps
	return SlowRequest{
		Connection: o.Connection, Request: o.Request, UID: o.UID, Entries: info.Entries, Bytes: info.Bytes,
		Total: info.PublishedNs - queued, Admission: o.AdmittedNs - queued, Check: o.CheckedNs - o.AdmittedNs, Queue: opened - o.CheckedNs,
		Commit: info.SealedNs - opened, Sync: info.DurableNs - info.SealedNs,
		Archive: info.ReleasedNs - info.DurableNs, Answer: info.PublishedNs - info.ReleasedNs,
		publishedNs: info.PublishedNs,
	}, true
}

// observe takes a commit.
func (s *slowest) observe(info *committer.CommitInfo) {
	r, ok := slowRequest(info)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.among == nil {
		s.among, s.before = make([]SlowRequest, 0, slowestKept), make([]SlowRequest, 0, slowestKept)
	}
	if info.PublishedNs-s.began > int64(slowestOfTime) {
		s.began, s.least = info.PublishedNs, 0
		s.among, s.before = s.before[:0], s.among
	}
	if r.Total <= s.least {
		return
	}
	if len(s.among) < slowestKept {
		s.among = append(s.among, r)
	} else {
		s.among[s.fastest()] = r
	}
	if len(s.among) == slowestKept {
		s.least = s.among[s.fastest()].Total
	}
}

func (s *slowest) fastest() (at int) {
	for i := range s.among {
		if s.among[i].Total < s.among[at].Total {
			at = i
		}
	}
	return at
}

// list returns them, the slowest first. began is the time that monotonic times count from.
func (s *slowest) list(began time.Time) []SlowRequest {
	s.mu.Lock()
	all := slices.Concat(s.among, s.before)
	s.mu.Unlock()
	for i := range all {
		all[i].TimeMs = began.Add(time.Duration(all[i].publishedNs)).UnixMilli()
	}
	slices.SortFunc(all, func(a, b SlowRequest) int { return int(b.Total - a.Total) })
	return all
}
