package committer

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/rustyonions/ron-ledger/wire"
)

// TestLanesAgainstModel holds that nothing is lost or made, that each lane is in order,
// and that no lane that always has something gets less than its part: between two of its
// items no other lane takes more than a quantum and one item for each quantum that the
// waiting item costs.
func TestLanesAgainstModel(t *testing.T) {
	type item struct {
		id     uint32
		serial int
	}
	rapid.Check(t, func(t *rapid.T) {
		var lanes Lanes[item]
		model := map[uint32][]item{}
		costs := map[item]int{}
		taken := map[uint32]map[uint32]int{} // by others, since a lane last got something
		serial, length := 0, 0
		pop := func() {
			got, ok := lanes.Pop()
			if !ok {
				if length > 0 {
					t.Fatalf("nothing to take, %d wait", length)
				}
				return
			}
			if len(model[got.id]) == 0 || model[got.id][0] != got {
				t.Fatalf("took %v, the lane is %v", got, model[got.id])
			}
			model[got.id] = model[got.id][1:]
			length--
			delete(taken, got.id)
			for id, others := range taken {
				others[got.id] += costs[got]
				rounds := costs[model[id][0]]/laneQuantum + 2
				if most := rounds*laneQuantum + 1<<17; others[got.id] > most {
					t.Fatalf("lane %d took %d while lane %d waited, at most %d is fair", got.id, others[got.id], id, most)
				}
			}
			if len(model[got.id]) > 0 {
				taken[got.id] = map[uint32]int{}
			}
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "pop") == 0 {
				pop()
			} else {
				id := uint32(rapid.IntRange(0, 4).Draw(t, "lane"))
				serial++
				it := item{id, serial}
				costs[it] = rapid.IntRange(1, 1<<17).Draw(t, "cost")
				lanes.Push(id, it, costs[it])
				if len(model[id]) == 0 {
					taken[id] = map[uint32]int{}
				}
				model[id] = append(model[id], it)
				length++
			}
			if lanes.Len() != length {
				t.Fatalf("%d wait, want %d", lanes.Len(), length)
			}
			for id := range uint32(5) {
				if lanes.LenOf(id) != len(model[id]) {
					t.Fatalf("lane %d has %d, want %d", id, lanes.LenOf(id), len(model[id]))
				}
			}
		}
		for length > 0 {
			pop()
		}
		pop()
	})
}

// TestLanesShareTheCost fills two lanes, one with long items: both get the same bytes.
func TestLanesShareTheCost(t *testing.T) {
	var lanes Lanes[int]
	for range 4000 {
		lanes.Push(1, 1000, 1000)
	}
	for range 40 {
		lanes.Push(2, 100_000, 100_000)
	}
	sums := map[bool]int{}
	for lanes.LenOf(1) > 100 && lanes.LenOf(2) > 1 {
		cost, _ := lanes.Pop()
		sums[cost == 1000] += cost
	}
	if ratio := float64(sums[true]) / float64(sums[false]); ratio < 0.9 || ratio > 1.1 {
		t.Errorf("short items got %d bytes, long ones %d", sums[true], sums[false])
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct {
		held, free int64
		may        bool
	}{{0, 1, true}, {0, 0, false}, {799, 201, true}, {800, 200, false}, {444, 112, true}, {448, 112, false}, {3, 1, true}, {4, 1, false}} {
		if got := Share(c.held, c.free); got != c.may {
			t.Errorf("held %d, free %d: %v", c.held, c.free, got)
		}
	}
}

// TestQueueLeavesRoom fills the queue from one lane: a newcomer still finds room, and
// is served after at most a quantum.
func TestQueueLeavesRoom(t *testing.T) {
	q := newQueue(1000)
	request := func(lane uint32) *Request { return &Request{Lane: lane, Records: make([]byte, 3000)} }
	taken := 0
	for q.put(request(1)) == 0 {
		taken++
	}
	if taken != 800 {
		t.Errorf("one lane alone gets %d of 1000", taken)
	}
	late := request(2)
	if reason := q.put(late); reason != 0 {
		t.Fatalf("a newcomer is refused with %s", reason)
	}
	for before := 0; ; before++ {
		r, ok, _ := q.take()
		if !ok || before > laneQuantum/3000+1 {
			t.Fatalf("the newcomer waits behind %d", before)
		}
		if r == late {
			break
		}
	}
	var stats Stats
	q.figures(&stats)
	if stats.ShareRejections != 1 || stats.BusyRejections != 0 || stats.QueueCapacity != 1000 {
		t.Errorf("%+v", stats)
	}
	q.close()
	if reason := q.put(request(3)); reason != wire.ReasonDraining {
		t.Errorf("a closed queue answers %s", reason)
	}
}

func TestLanesAllocateNothing(t *testing.T) {
	var lanes Lanes[*Request]
	r := new(Request)
	cycle := func() {
		for id := range uint32(8) {
			for range 20 {
				lanes.Push(id, r, 5000)
			}
		}
		for range 160 {
			lanes.Pop()
		}
	}
	cycle()
	if allocations := testing.AllocsPerRun(100, cycle); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkQueue(b *testing.B) {
	q, r := newQueue(1000), &Request{Records: make([]byte, 3600)}
	b.ReportAllocs()
	for b.Loop() {
		q.put(r)
		q.take()
	}
}
