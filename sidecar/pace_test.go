package sidecar

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// paced drives an admission with turns for all: what does not go at once is parked.
type paced struct {
	a   *admission
	now int64
}

func newPaced() *paced { return &paced{a: newAdmission(1<<20, 1<<20, 1<<40)} }

// send lets a request come, and returns nil when it is on its way, or what it waits for.
func (p *paced) send(uid uint32, cost int) chan struct{} {
	a := p.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pace.goes(uid, cost, p.now) {
		a.pace.went(uid, cost)
		return nil
	}
	turn := make(chan struct{}, 1)
	a.pace.park(uid, cost, turn)
	return turn
}

// TestPaceKeepsOthersShort lets one uid flood: alone it is not held up; once another sends
// it has little on its way, and the other does not wait for it; and after the other has
// been silent it is free again.
func TestPaceKeepsOthersShort(t *testing.T) {
	const flood, quiet, cost = 1, 2, 20 << 10
	p := newPaced()
	for range 100 {
		if p.send(flood, cost) != nil {
			t.Fatal("one uid alone is held up")
		}
	}
	if p.send(quiet, 1000) != nil {
		t.Error("a quiet uid waits for a flood")
	}
	var waits []chan struct{}
	for range 64 {
		turn := p.send(flood, cost)
		if turn == nil {
			t.Fatal("a flood goes on beside another uid")
		}
		waits = append(waits, turn)
	}
	gone := func() int {
		n := 0
		for _, turn := range waits {
			n += len(turn)
		}
		return n
	}
	for left := 99; left >= 0; left-- {
		p.a.passed(flood, cost)
		if want := map[bool]int{true: 0, false: 1}[left > 0]; gone() != want {
			t.Fatalf("with %d on their way, %d parked ones went", left, gone())
		}
	}
	p.a.passed(flood, cost)
	if gone() != 2 || len(waits[1]) != 1 {
		t.Errorf("%d went, in order: %v", gone(), len(waits[1]) == 1)
	}
	p.now = 2 * sharedFor
	p.send(flood, cost)
	p.a.passed(flood, cost)
	if p.a.figures().waiting != 0 {
		t.Errorf("%d wait, and nobody else has sent for long", p.a.figures().waiting)
	}
}

// TestPaceLetsLargeOnesGoAlone: what exceeds a uid's part at once is not refused.
func TestPaceLetsLargeOnesGoAlone(t *testing.T) {
	p := newPaced()
	p.send(1, 10)
	p.send(2, 10)
	p.a.passed(1, 10)
	if p.send(1, 1<<20) != nil {
		t.Error("a large request waits for nothing")
	}
	turn := p.send(1, 10)
	if turn == nil {
		t.Fatal("a small one went beside a large one")
	}
	p.a.passed(1, 1<<20)
	if len(turn) != 1 {
		t.Error("the small one still waits")
	}
}

// TestPaceFollowsTheDisk: a slower disk lets more on its way, a busy moment does not.
func TestPaceFollowsTheDisk(t *testing.T) {
	var p pace
	if p.most() != paceMin {
		t.Errorf("at the start %d bytes", p.most())
	}
	for range 3 * windowValues {
		p.wrote(200_000)
		p.wrote(900_000_000)
	}
	if p.most() != paceMin {
		t.Errorf("with a fast disk on a busy machine %d bytes", p.most())
	}
	for range 2 * windowValues {
		p.wrote(10_000_000)
	}
	if most := p.most(); most < 500_000 || most > 530_000 {
		t.Errorf("with 10 ms a sync %d bytes", most)
	}
}

// TestPaceAgainstModel holds that requests of a uid go in order, that none is lost, that
// what is on its way stays within its bound while others send, and that nobody waits who
// has nothing on its way.
func TestPaceAgainstModel(t *testing.T) {
	type sent struct {
		cost int
		turn chan struct{}
	}
	rapid.Check(t, func(rt *rapid.T) {
		p := newPaced()
		way, waiting := map[uint32][]sent{}, map[uint32][]sent{}
		newest, sharedTill := uint32(99), int64(0)
		sum := func(list []sent) (n int) {
			for _, s := range list {
				n += s.cost
			}
			return n
		}
		arrived := func() { // which of those that waited went
			for uid, list := range waiting {
				for len(list) > 0 && len(list[0].turn) == 1 {
					way[uid], list = append(way[uid], list[0]), list[1:]
				}
				if slices.ContainsFunc(list, func(s sent) bool { return len(s.turn) > 0 }) {
					rt.Fatalf("uid %d: out of order", uid)
				}
				waiting[uid] = list
			}
		}
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			uid := uint32(rapid.IntRange(1, 3).Draw(rt, "uid"))
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				p.now += rapid.Int64Range(0, 2*sharedFor).Draw(rt, "time")
			case 1, 2, 3, 4:
				if list := way[uid]; len(list) > 0 {
					p.a.passed(uid, list[0].cost)
					way[uid] = list[1:]
				}
			default:
				if newest != uid && newest != 99 {
					sharedTill = p.now + sharedFor
				}
				newest = uid
				s := sent{cost: rapid.IntRange(1, 40<<10).Draw(rt, "cost")}
				before := sum(way[uid])
				if s.turn = p.send(uid, s.cost); s.turn == nil {
					if before > 0 && p.now < sharedTill && before+s.cost > paceMin {
						rt.Fatalf("uid %d: %d went beside %d", uid, s.cost, before)
					}
					way[uid] = append(way[uid], s)
				} else {
					waiting[uid] = append(waiting[uid], s)
				}
			}
			arrived()
			total := 0
			for uid, list := range waiting {
				total += len(list)
				if len(list) > 0 && len(way[uid]) == 0 {
					rt.Fatalf("uid %d: %d wait for nothing", uid, len(list))
				}
			}
			if p.a.pace.parked != total {
				rt.Fatalf("%d are parked, want %d", p.a.pace.parked, total)
			}
		}
		for uid := range uint32(4) {
			for len(way[uid]) > 0 {
				p.a.passed(uid, way[uid][0].cost)
				way[uid] = way[uid][1:]
				arrived()
			}
		}
		if p.a.pace.parked != 0 || len(p.a.pace.byUID) != 0 {
			rt.Fatalf("at the end %d are parked, of %d uids", p.a.pace.parked, len(p.a.pace.byUID))
		}
	})
}
