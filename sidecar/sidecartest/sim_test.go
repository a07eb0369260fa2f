package sidecartest

import (
	"testing"
	"time"
)

// TestSimulation crashes ledgers SIM_STEPS times, 200 unless told, from SIM_SEED, else from the
// clock. A seed that fails is made a row of TestSimulationSeeds.
func TestSimulation(t *testing.T) {
	seed := setting(t, "SIM_SEED", uint64(time.Now().UnixNano())%1_000_000)
	crashes := setting(t, "SIM_STEPS", 200)
	t.Logf("SIM_SEED=%d SIM_STEPS=%d", seed, crashes)
	out, err := Simulate(seed, int(crashes))
	t.Logf("%+v", out)
	if err != nil {
		t.Fatalf("SIM_SEED=%d: %v", seed, err)
	}
}
