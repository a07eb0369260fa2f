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
// a uid gets at most its committer.Share, so that one that floods leaves room. While
// several uids send, a pace holds each of them to little at a time besides.
//
// A request passes through hold, enter, leave, passed and release, in this order.
//
// Invariant: bytes == Σ byUID <= bytesMax; waiting.Len() + pace.parked <= waitingMax, unless
// that was just lowered; while anyone waits in waiting, turns == 0.
type admission struct {
	mu                  sync.Mutex
	turns               int // that are free
	waiting             committer.Lanes[chan<- struct{}]
	waitingMax          int
	pace                pace
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

// enter waits until a request of that cost may go on its way and has a turn, or says busy
// when too many wait already. The channel is the caller's, empty, with room for one. Once
// it has entered the caller MUST call leave, and passed when the request is committed or
// has come to nothing.
func (a *admission) enter(uid uint32, cost int, nowNs int64, turn chan struct{}) wire.Fault {
	a.mu.Lock()
	goes := a.pace.goes(uid, cost, nowNs)
	if goes && a.turns > 0 {
		a.turns--
		a.pace.went(uid, cost)
		a.mu.Unlock()
		return wire.Fault{}
	}
	free := a.waitingMax - a.waiting.Len() - a.pace.parked
	if !committer.Share(int64(a.waiting.LenOf(uid)+a.pace.parkedOf(uid)), int64(free)) {
		a.busyTurns++
		a.mu.Unlock()
		return wire.Fault{Reason: wire.ReasonBusy, Detail: "too many requests wait to be admitted, in all or of this uid (queues.ingress)"}
	}
	if goes {
		a.pace.went(uid, cost)
		a.waiting.Push(uid, turn, cost)
	} else {
		a.pace.park(uid, cost, turn)
	}
	a.mu.Unlock()
	<-turn
	return wire.Fault{}
}

// leave hands the turn on.
func (a *admission) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turns++
	a.handOut()
}

// passed says that a request is not on its way any more: the next ones of its uid may go.
func (a *admission) passed(uid uint32, cost int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pace.passed(uid, cost)
	for {
		turn, cost, ok := a.pace.unpark(uid)
		if !ok {
			break
		}
		a.waiting.Push(uid, turn, cost)
	}
	a.handOut()
}

// handOut gives free turns to those who wait for one.
func (a *admission) handOut() {
	for a.turns > 0 {
		next, ok := a.waiting.Pop()
		if !ok {
			return
		}
		a.turns--
		next <- struct{}{}
	}
}

// setWaitingMax changes how many requests may wait. Those that do already go on waiting.
func (a *admission) setWaitingMax(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waitingMax = n
}

// wrote takes how long a commit took to become durable.
func (a *admission) wrote(ns int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pace.wrote(ns)
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
		waiting: a.waiting.Len() + a.pace.parked, waitingMax: a.waitingMax, requests: a.requests,
		bytes: a.bytes, bytesMax: a.bytesMax, busyTurns: a.busyTurns, busyHeld: a.busyHeld,
	}
}
