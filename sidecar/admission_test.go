package sidecar

import (
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// TestAdmissionHoldsBytes fills the bytes in flight from one uid: another one finds
// room, and what is released can be taken again.
func TestAdmissionHoldsBytes(t *testing.T) {
	a := newAdmission(2, 10, 1000)
	var held int64
	for a.hold(1, 10).OK() {
		held += 10
	}
	if held != 800 {
		t.Errorf("one uid alone holds %d of 1000 bytes", held)
	}
	if fault := a.hold(2, 200); !fault.OK() {
		t.Errorf("another uid gets %v", fault)
	}
	if fault := a.hold(3, 1); fault.Reason != wire.ReasonBusy {
		t.Errorf("beyond all there is: %v", fault)
	}
	for range 80 {
		a.release(1, 10)
	}
	a.release(2, 200)
	if f := a.figures(); f.bytes != 0 || f.requests != 0 || f.busyHeld != 2 || len(a.byUID) != 0 {
		t.Errorf("after all was released: %+v", f)
	}
}

// TestAdmissionTurns lets one uid wait in force and another one once: turns alternate,
// and too many that wait are told busy.
func TestAdmissionTurns(t *testing.T) {
	const busy, quiet = 1, 2
	a := newAdmission(1, 10, 1<<20)
	if fault := a.enter(busy, 100, 0, nil); !fault.OK() {
		t.Fatal(fault)
	}
	order := make(chan uint32, 20)
	wait := func(uid uint32) {
		before := a.figures().waiting
		go func() {
			if fault := a.enter(uid, 40<<10, 0, make(chan struct{}, 1)); !fault.OK() {
				t.Error(fault)
			}
			order <- uid
			a.leave()
			a.passed(uid, 40<<10)
		}()
		for a.figures().waiting == before {
			time.Sleep(time.Millisecond)
		}
	}
	for range 8 {
		wait(busy)
	}
	if fault := a.enter(busy, 1, 0, make(chan struct{}, 1)); fault.Reason != wire.ReasonBusy {
		t.Errorf("beyond its share a uid gets %v", fault)
	}
	wait(quiet)
	a.leave()
	for i := range 9 {
		if uid := <-order; uid == quiet {
			if i > 2 {
				t.Errorf("the quiet uid waits behind %d others", i)
			}
		}
	}
	for a.figures().waiting > 0 {
		time.Sleep(time.Millisecond)
	}
	if f := a.figures(); f.busyTurns != 1 {
		t.Errorf("%+v", f)
	}
}

func TestAdmissionAllocatesNothing(t *testing.T) {
	a := newAdmission(2, 10, 1<<20)
	a.hold(7, 1)
	if allocations := testing.AllocsPerRun(1000, func() {
		a.hold(7, 100)
		a.enter(7, 100, 0, nil)
		a.leave()
		a.passed(7, 100)
		a.release(7, 100)
	}); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
