package sidecar

import "time"

const (
	// sharedFor is how long a ledger counts as shared after two uids sent in turn, in ns.
	sharedFor = int64(2 * time.Second)
	// paceMin is what a uid may have on its way while others send, in bytes: about 160
	// entries of 200 bytes, whose way takes about as long as the sync of a fast disk.
	paceMin = 32 << 10
	// paceRate is by how much that grows with the time that a commit takes to become
	// durable, in bytes a second: behind a slow disk more can be on its way without
	// making that time noticeably longer. It MUST be well below what the log can
	// write, or a longer commit would allow one that is longer still.
	paceRate = 50 << 20
)

// pace holds each uid to little on its way to the log while several send, so that who
// sends one entry is not behind a commit that another has filled, nor behind its hashing.
// What exceeds that waits in its connection, of which nothing further is read: so a flood
// is slowed down to what it may have, and is not read in order to be refused. One uid
// alone is not held up.
//
// On its way is a request from its turn to its answer from the committer. A request that
// is larger than what a uid may have goes alone.
//
// Invariant: a uid has requests parked only while it has some on their way; parked is
// the sum of all that are parked.
type pace struct {
	byUID      map[uint32]*pacedUID
	spare      []*pacedUID
	parked     int
	last       uint32 // uid of the newest request
	any        bool   // there was one
	nowNs      int64  // of it
	sharedTill int64
	write      windowMin // how long commits take to become durable, in ns
}

// pacedUID is what one uid has on its way, and what waits: parked[head:].
type pacedUID struct {
	way    int
	head   int
	parked []parkedRequest
}

type parkedRequest struct {
	turn chan<- struct{}
	cost int
}

// goes notes that a request came, and reports whether it may go on its way.
func (p *pace) goes(uid uint32, cost int, nowNs int64) bool {
	if p.any && uid != p.last {
		p.sharedTill = nowNs + sharedFor
	}
	p.last, p.any, p.nowNs = uid, true, nowNs
	of := p.byUID[uid]
	return of == nil || of.head == len(of.parked) && p.room(of, cost)
}

func (p *pace) room(of *pacedUID, cost int) bool {
	return of.way == 0 || p.nowNs >= p.sharedTill || of.way+cost <= p.most()
}

// most is what a uid may have on its way while others send, in bytes.
func (p *pace) most() int { return max(paceMin, int(p.write.min()*(paceRate>>10)/(1e9>>10))) }

// went puts a request on its way.
func (p *pace) went(uid uint32, cost int) {
	of := p.byUID[uid]
	if of == nil {
		if p.byUID == nil {
			p.byUID = make(map[uint32]*pacedUID)
		}
		if n := len(p.spare); n > 0 {
			of, p.spare = p.spare[n-1], p.spare[:n-1]
		} else {
			of = new(pacedUID)
		}
		p.byUID[uid] = of
	}
	of.way += cost
}

// park lets a request wait that may not go.
func (p *pace) park(uid uint32, cost int, turn chan<- struct{}) {
	of := p.byUID[uid]
	of.parked = append(of.parked, parkedRequest{turn, cost})
	p.parked++
}

// parkedOf is how many requests of a uid wait.
func (p *pace) parkedOf(uid uint32) int {
	of := p.byUID[uid]
	if of == nil {
		return 0
	}
	return len(of.parked) - of.head
}

// unpark puts the next parked request of a uid on its way, if it may go.
func (p *pace) unpark(uid uint32) (turn chan<- struct{}, cost int, ok bool) {
	of := p.byUID[uid]
	if of == nil || of.head == len(of.parked) || !p.room(of, of.parked[of.head].cost) {
		return nil, 0, false
	}
	next := of.parked[of.head]
	of.parked[of.head] = parkedRequest{}
	of.head++
	if left := len(of.parked) - of.head; left <= of.head {
		copy(of.parked, of.parked[of.head:])
		clear(of.parked[left:])
		of.parked, of.head = of.parked[:left], 0
	}
	of.way += next.cost
	p.parked--
	return next.turn, next.cost, true
}

// pacedSpares bounds how many idle ones are kept.
const pacedSpares = 64

// passed takes a request off its way.
func (p *pace) passed(uid uint32, cost int) {
	of := p.byUID[uid]
	of.way -= cost
	if of.way == 0 && of.head == len(of.parked) {
		delete(p.byUID, uid)
		if len(p.spare) < pacedSpares {
			p.spare = append(p.spare, of)
		}
	}
}

// wrote takes how long a commit took to become durable. What counts is the shortest of
// the last ones: time that a busy machine or a long commit adds must not let more in.
func (p *pace) wrote(ns int64) { p.write.add(ns) }

// windowMin is the minimum of the last values: of between windowValues and twice as many.
type windowMin struct {
	before, now int64
	values      int
}

const windowValues = 128

func (w *windowMin) add(v int64) {
	if w.values == windowValues {
		w.before, w.values = w.now, 0
	}
	if w.values == 0 || v < w.now {
		w.now = v
	}
	w.values++
}

// min is 0 until there were windowValues.
func (w *windowMin) min() int64 { return min(w.before, w.now) }
