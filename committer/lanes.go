package committer

import "slices"

// laneQuantum is what a lane may take in one round, in units of cost (bytes): some 70
// entries of 200 bytes. It is also how long, beside what is in progress, one that sends
// little waits for each other lane.
const laneQuantum = 16 << 10

// Lanes is a queue that is fair between those who fill it: each has a lane, in order
// within itself, and the lanes are served by deficit round robin (Shreedhar and Varghese,
// SIGCOMM 1995). A lane that is never empty gets its part of the cost and no more,
// however much waits in it. With one lane it is a plain queue.
//
// It is not safe for concurrent use. The zero Lanes is empty and ready; in the steady
// state it allocates nothing.
//
// Invariant: active holds the lanes with something in them, each once; length is the sum
// of their lengths; 0 <= next < max(1, len(active)).
type Lanes[T any] struct {
	byID   map[uint32]*lane[T]
	active []*lane[T]
	next   int // the lane in turn
	length int
	spare  []*lane[T] // empty ones, for the next comers
}

// lane is a queue in order: items[head:] wait.
type lane[T any] struct {
	id      uint32
	deficit int
	head    int
	items   []laneItem[T]
}

type laneItem[T any] struct {
	value T
	cost  int
}

// laneSpares bounds how many empty lanes are kept.
const laneSpares = 64

// Len returns how many items wait in all.
func (l *Lanes[T]) Len() int { return l.length }

// LenOf returns how many items wait in one lane.
func (l *Lanes[T]) LenOf(id uint32) int {
	if lane := l.byID[id]; lane != nil {
		return len(lane.items) - lane.head
	}
	return 0
}

// Push puts an item behind the others of its lane. A lane that was empty comes last in
// the round.
func (l *Lanes[T]) Push(id uint32, value T, cost int) {
	into := l.byID[id]
	if into == nil {
		into = l.open(id)
	}
	into.items = append(into.items, laneItem[T]{value, cost})
	l.length++
}

func (l *Lanes[T]) open(id uint32) *lane[T] {
	if l.byID == nil {
		l.byID = make(map[uint32]*lane[T])
	}
	var fresh *lane[T]
	if n := len(l.spare); n > 0 {
		fresh, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		fresh = new(lane[T])
	}
	fresh.id, fresh.deficit = id, laneQuantum
	l.byID[id] = fresh
	l.active = slices.Insert(l.active, l.next, fresh) // behind the one that was served last
	if len(l.active) > 1 {
		l.next++
	}
	return fresh
}

// Pop takes the item whose turn it is.
func (l *Lanes[T]) Pop() (value T, ok bool) {
	if l.length == 0 {
		return value, false
	}
	for {
		from := l.active[l.next]
		item := &from.items[from.head]
		if alone := len(l.active) == 1; !alone && from.deficit < item.cost {
			from.deficit += laneQuantum
			l.next = (l.next + 1) % len(l.active)
			continue
		}
		from.deficit = max(0, from.deficit-item.cost)
		value = item.value
		*item = laneItem[T]{}
		from.head++
		l.length--
		l.tidy(from)
		return value, true
	}
}

// tidy closes a lane that is empty, and moves one to its front that is mostly read.
func (l *Lanes[T]) tidy(from *lane[T]) {
	switch left := len(from.items) - from.head; {
	case left == 0:
		l.active = slices.Delete(l.active, l.next, l.next+1)
		if l.next == len(l.active) {
			l.next = 0
		}
		delete(l.byID, from.id)
		from.items, from.head = from.items[:0], 0
		if len(l.spare) < laneSpares {
			l.spare = append(l.spare, from)
		}
	case from.head > 64 && from.head > left:
		copy(from.items, from.items[from.head:])
		clear(from.items[left:])
		from.items, from.head = from.items[:left], 0
	}
}

// Share reports whether one who holds that much of a bounded pool may have more: at most
// four times what is free (dynamic thresholds, Choudhury and Hahne, 1998). One alone gets
// four fifths, n get 4/(4n+1) each, and something is always left for one who comes new.
func Share(held, free int64) bool { return free > 0 && held < 4*free }
