package sidecartest

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/model"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// faultStory is what the sweeps tell, FAULT_ENTRIES entries, 500 unless told: single entries and atomic
// requests of several sizes, some rejected, repeated or in conflict, with a checkpoint every 40 entries.
func faultStory(t *testing.T, seed uint64) *Story {
	t.Helper()
	profile := Profile{Hash: merkle.Blake3, Accounts: 6, Assets: 4, CheckpointEntries: 40, BatchMaxEntries: 16, Pipeline: 3, RandomNonces: seed%2 == 0}
	steps := Generate(profile, seed, int(setting(t, "FAULT_ENTRIES", 500)))
	s, err := NewStory(profile, slices.Insert(steps, len(steps)/3, Step{Request: bulk(300)}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// windowStory is one of a ledger that forgets: entries that all are new, and a window that is
// shorter than the story. Such a ledger lives in memory, where no read fails: its state cannot be made
// again from its log. So it meets no incident that hits reads.
func windowStory(t *testing.T) *Story {
	t.Helper()
	profile := Profile{Hash: merkle.SHA256, CheckpointEntries: 30, BatchMaxEntries: 16, Pipeline: 3}
	var steps []Step
	for i := range 40 {
		steps = append(steps, Step{Request: mints(fmt.Sprint("window:", i), 1+i%9)})
	}
	s, err := NewStory(profile, steps)
	if err != nil {
		t.Fatal(err)
	}
	s.Window = 60
	return s
}

// bulk is an atomic request that is larger than a block of the log.
func bulk(entries int) *model.Request {
	r := mints("bulk", entries)
	r.Atomic, r.IdemID = true, [16]byte{0xb0}
	return r
}

func mints(account string, entries int) *model.Request {
	r := new(model.Request)
	for i := range entries {
		r.Entries = append(r.Entries, wire.Fields{
			Kind: wire.KindMint, Account: account, Amount: wire.AmountOf(uint64(i + 1)), Nonce: wire.Nonce{0: 0xfe, 14: byte(i >> 8), 15: byte(i)}, Asset: assets[0],
		})
	}
	return r
}

// TestFaultsCrashAtEveryOperation crashes behind every file operation of a run, and amid
// every write. FAULT_ALL=1 takes every share of what was not synced at each, where the
// default takes them in turn.
func TestFaultsCrashAtEveryOperation(t *testing.T) {
	seed := setting(t, "FAULT_SEED", 1)
	for name, s := range map[string]*Story{"all kept": faultStory(t, seed), "window": windowStory(t)} {
		t.Run(name, func(t *testing.T) {
			out, err := s.SweepCrashes(setting(t, "FAULT_ALL", 0) > 0, seed)
			t.Logf("FAULT_SEED=%d: a run of %d operations and %d entries: %v, refused %d", seed, out.Ops, s.Size(), out.Crashes, len(out.Refused))
			for _, refused := range out.Refused {
				t.Log("nothing was acknowledged, and the start refuses:", refused)
			}
			if err != nil {
				t.Fatal(err)
			}
			if out.Ops < 300 {
				t.Errorf("the run has %d operations, too few to be worth anything", out.Ops)
			}
		})
	}
}

// TestPruneReadsWhatItCuts lets every read of a table of the log fail once in a ledger that forgets: what
// is left of its log is never dropped with what is forgotten.
func TestPruneReadsWhatItCuts(t *testing.T) {
	reads := Incident{Name: "a read of the log fails", Fault: reports(syscall.EIO), Hits: func(op store.Op) bool {
		return isRead(op) && strings.Contains(op.Path, "/log/") && strings.HasSuffix(op.Path, ".sst")
	}}
	story, met := windowStory(t), 0
	for at := 1; ; met++ {
		out, err := story.Sweep(reads, at)
		if err != nil {
			t.Fatalf("operation %d (%s): %v", out.At, out.Op, err)
		}
		if out.Op == "" {
			break
		}
		at = out.At + 1
	}
	t.Logf("%d reads failed", met)
	if met == 0 {
		t.Error("it met no read")
	}
}

// TestFaultsAtEveryOperation lets every incident meet every operation of a run; unless
// FAULT_ALL is 1, every FAULT_STRIDE-th, beginning elsewhere for each incident.
func TestFaultsAtEveryOperation(t *testing.T) {
	seed := setting(t, "FAULT_SEED", 1)
	stride := int(setting(t, "FAULT_STRIDE", 120))
	if setting(t, "FAULT_ALL", 0) > 0 {
		stride = 1
	}
	for n, incident := range Incidents {
		t.Run(strings.ReplaceAll(incident.Name, ",", ""), func(t *testing.T) {
			runs, stopped, failed := 0, 0, 0
			met := map[int]bool{}
			s := faultStory(t, seed)
			if n%4 == 3 && incident.Hits != nil { // see windowStory
				s = windowStory(t)
			}
			for at := 1 + (n*13+int(seed))%stride; ; at += stride {
				out, err := s.Sweep(incident, at)
				if err != nil {
					t.Fatalf("FAULT_SEED=%d, operation %d (%s): %v", seed, at, out.Op, err)
				}
				if out.Op == "" {
					break // the run ended before it
				}
				runs++
				met[out.At] = true
				if out.Stopped {
					stopped++
				} else if out.Failed {
					failed++
				}
			}
			t.Logf("%d runs, from every %d. operation on, which met %d different ones first: %d stopped by Fatal, %d came back with an error, %d went on",
				runs, stride, len(met), stopped, failed, runs-stopped-failed)
			if runs == 0 {
				t.Error("it met no operation")
			}
		})
	}
}
