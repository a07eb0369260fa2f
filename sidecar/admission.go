package sidecar

import (
	"sync"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/wire"
)

// requestBytes is what a request holds beside its payload: its place in queues, its
// answer.
const requestBytes = 1 << 10

// admission bounds what is in flight, in all and fairly between uids: how many sessions
// admit at once (concurrency.prevalidators), how many requests wait for that
// (queues.ingress), and how many bytes of requests are not yet answered
// (limits.inflight_bytes). Turns go round among the uids that wait for one; of a bound,
// a uid gets at most its committer.Share, so that one that floods leaves room.
//
// Invariant: bytes == Σ byUID <= bytesMax; waiting.Len() <= waitingMax; while anyone
// waits, turns == 0.
type admission struct {
	mu                  sync.Mutex
	turns               int // that are free
	waiting             committer.Lanes[chan<- struct{}]
	waitingMax          int
	bytes, bytesMax     int64
	byUID               map[uint32]int64
	requests            int    // that hold bytes
	busyTurns, busyHeld uint64 // requests refused
}

func newAdmission(prevalidators, ingress int, bytesMax int64) *admission {
	return &admission{turns: prevalidators, waitingMax: ingress, bytesMax: bytesMax, byUID: make(map[uint32]int64)}
}

// hold takes bytes until release, or says busy.
func (a *admission) hold(uid uint32, n int64) wire.Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	free := a.bytesMax - a.bytes
	held := a.byUID[uid]
	if n > free || held > 0 && !committer.Share(held, free) {
		a.busyHeld++
		return wire.Fault{Reason: wire.ReasonBusy, Detail: "too many bytes of requests wait for their answers, in all or of this uid (limits.inflight_bytes)"}
	}
	a.bytes += n
	a.byUID[uid] = held + n
	a.requests++
	return wire.Fault{}
}

func (a *admission) release(uid uint32, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bytes -= n
	a.requests--
	if a.byUID[uid] -= n; a.byUID[uid] == 0 {
		delete(a.byUID, uid)
	}
}

// enter waits for a turn, or says busy when too many wait already. The channel is the
// caller's, empty, with room for one.
func (a *admission) enter(uid uint32, cost int, turn chan struct{}) wire.Fault {
	a.mu.Lock()
	if a.turns > 0 {
		a.turns--
		a.mu.Unlock()
		return wire.Fault{}
	}
	free := a.waitingMax - a.waiting.Len()
	if !committer.Share(int64(a.waiting.LenOf(uid)), int64(free)) {
		a.busyTurns++
		a.mu.Unlock()
		return wire.Fault{Reason: wire.ReasonBusy, Detail: "too many requests wait to be admitted, in all or of this uid (queues.ingress)"}
	}
	a.waiting.Push(uid, turn, cost)
	a.mu.Unlock()
	<-turn
	return wire.Fault{}
}

// leave hands the turn on.
func (a *admission) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if next, ok := a.waiting.Pop(); ok {
		next <- struct{}{}
		return
	}
	a.turns++
}

// admissionFigures are for metrics.
type admissionFigures struct {
	waiting, waitingMax, requests int
	bytes, bytesMax               int64
	busyTurns, busyHeld           uint64
}

func (a *admission) figures() admissionFigures {
	a.mu.Lock()
	defer a.mu.Unlock()
	return admissionFigures{
		waiting: a.waiting.Len(), waitingMax: a.waitingMax, requests: a.requests,
		bytes: a.bytes, bytesMax: a.bytesMax, busyTurns: a.busyTurns, busyHeld: a.busyHeld,
	}
}
