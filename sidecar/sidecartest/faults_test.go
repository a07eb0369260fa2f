package sidecartest

import (
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// faultStory is what the sweeps tell: single entries and atomic requests of several sizes, a
// large one among them, with a checkpoint every 40 entries.
func faultStory(t *testing.T, seed uint64, entries int) *Story {
	t.Helper()
	profile := Profile{Hash: merkle.Blake3, Accounts: 6, Assets: 4, CheckpointEntries: 40, BatchMaxEntries: 16, Pipeline: 3, RandomNonces: seed%2 == 0}
	s, err := NewStory(profile, Generate(profile, seed, entries))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCrashSweep(t *testing.T) {
	seed := setting(t, "FAULT_SEED", 1)
	s := faultStory(t, seed, 200)
	out, err := s.SweepCrashes(setting(t, "FAULT_ALL", 0) > 0, seed)
	t.Logf("FAULT_SEED=%d: %d operations, story of %d entries, %v", seed, out.Ops, s.Size(), out.Crashes)
	for _, r := range out.Refused {
		t.Log("refused: ", r)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestFaultSweepOne(t *testing.T) {
	s := faultStory(t, 1, 200)
	for _, i := range Incidents {
		for at := 1; at < 400; at += 50 {
			out, err := s.Sweep(i, at)
			t.Logf("%s at %d: %+v", i.Name, at, out)
			if err != nil {
				t.Error(err)
			}
		}
	}
}
