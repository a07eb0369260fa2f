package committer

import (
	"sync"

	"github.com/rustyonions/ron-ledger/wire"
)

// queue is what Submit fills and the committer empties, fair between lanes.
//
// Invariant: 0 <= lanes.Len() <= max, unless that was just lowered.
type queue struct {
	mu      sync.Mutex
	lanes   Lanes[*Request]
	max     int
	closed  bool
	full    uint64        // requests that found it full
	unfair  uint64        // requests that found their lane's share of it full
	changed chan struct{} // something was put in, or it was closed
}

func newQueue(requestsMax int) *queue {
	return &queue{max: requestsMax, changed: make(chan struct{}, 1)}
}

// put takes a request, or says why not.
func (q *queue) put(r *Request) wire.Reason {
	q.mu.Lock()
	defer q.mu.Unlock()
	if reason := q.room(r.Lane); reason != 0 {
		return reason
	}
	q.lanes.Push(r.Lane, r, r.cost())
	q.signal()
	return 0
}

// ready returns 0 when put would take a request of that lane now, or why not.
func (q *queue) ready(lane uint32) wire.Reason {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.room(lane)
}

// room is ready for who holds mu.
func (q *queue) room(lane uint32) wire.Reason {
	free := q.max - q.lanes.Len()
	switch {
	case q.closed:
		return wire.ReasonDraining
	case free <= 0:
		q.full++
		return wire.ReasonBusy
	case !Share(int64(q.lanes.LenOf(lane)), int64(free)):
		q.unfair++
		return wire.ReasonBusy
	}
	return 0
}

// setMax changes how many requests may wait. Those that do already stay.
func (q *queue) setMax(requests int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.max = requests
}

// take returns the request whose turn it is, if there is one; ended says that there will
// be none any more.
func (q *queue) take() (r *Request, ok, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	r, ok = q.lanes.Pop()
	return r, ok, !ok && q.closed
}

// close ends put.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

// figures fills in what Stats says of the queue.
func (q *queue) figures(s *Stats) {
	q.mu.Lock()
	defer q.mu.Unlock()
	s.QueueRequests, s.QueueCapacity = q.lanes.Len(), q.max
	s.BusyRejections, s.ShareRejections = q.full, q.unfair
}

// requestCost is what a request costs beside its records, in bytes of records: its part of
// a commit, and its answer.
const requestCost = 256

func (r *Request) cost() int { return requestCost + len(r.Records) }
