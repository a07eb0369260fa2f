package sidecartest

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// floodRatio is what the 99th percentile of a quiet uid may grow by while others attack.
const floodRatio = 3

// floodTries is how many rounds a machine with other work gets for one that holds. Beside the tests of another package
// three in ten do not.
const floodTries = 10

// floodRounds is FLOOD_ROUNDS, 0 where it is not set: then the test ends with the first
// round that holds, and fails when none of floodTries does.
func floodRounds(t *testing.T) int {
	text := os.Getenv("FLOOD_ROUNDS")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("FLOOD_ROUNDS is %q, want a number above 0", text)
	}
	return n
}

// TestFloodLatency measures how long one uid waits for its appends while another one
// floods with 64 connections and a third holds 500 unfinished handshakes, against the
// time without them, by turns. The attackers have half a processor each, as containers
// with a limit have; FLOOD_CPU=all lets them have what they can get.
func TestFloodLatency(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: other uids cannot be taken; TestPaceKeepsOthersShort stands for it")
		return
	}
	const flooder, loris = "54321", "54322"
	dir, home := ShortDir(t), ShortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := StartProcessEnv(t, Build(t), home, []string{
		"RON_LEDGER_SOCKET=" + filepath.Join(dir, "s"), "RON_LEDGER_UDS_MODE=0666",
		"RON_LEDGER_UDS_ALLOW_UIDS=" + flooder + "," + loris, "RON_LEDGER_LOG_LEVEL=error",
	})
	token := minterToken(t, home)
	conn := DialRaw(t, p.Socket)
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	conn.Send(HelloFrame(token))
	conn.Receive()
	attackers := []*neighbour{
		startAttack(t, 54322, "loris 500", p.Socket, nil),
		startAttack(t, 54321, "flood 64", p.Socket, token),
	}
	for _, attacker := range attackers {
		if os.Getenv("FLOOD_CPU") != "all" {
			t.Log("attackers are limited by: ", attacker.limitCPU(0.5))
		}
	}
	rounds := floodRounds(t)
	var ratios []float64
	for round := range cmp.Or(rounds, floodTries) {
		for _, attacker := range attackers {
			attacker.pause()
		}
		_, _ = quantiles(t, conn, 100) // what the flood has queued is worked off
		quiet50, quiet99 := quantiles(t, conn, 500)
		for _, attacker := range attackers {
			attacker.resume()
		}
		_, _ = quantiles(t, conn, 50)
		size, began := p.size(), time.Now()
		flood50, flood99 := quantiles(t, conn, 500)
		rate := float64(p.size()-size) / time.Since(began).Seconds()
		ratios = append(ratios, float64(flood99)/float64(quiet99))
		t.Logf("round %d: quiet p50 %v p99 %v; under attack p50 %v p99 %v, %.2f times; %.0f entries/s of the flood",
			round, quiet50, quiet99, flood50, flood99, ratios[round], rate)
		if rounds == 0 && ratios[round] <= floodRatio {
			return
		}
	}
	slices.Sort(ratios)
	if middle := ratios[len(ratios)/2]; rounds == 0 || middle > floodRatio {
		t.Errorf("the 99th percentile grows by %.2f, %.2f in the middle, at most %d is fair", ratios, middle, floodRatio)
	}
}

// size is how many entries the ledger has.
func (p *Process) size() uint64 {
	p.t.Helper()
	stdout, stderr, exit := RunCLI(p.t, p.bin, p.Home, "--socket", p.Socket, "status", "--json")
	var status struct{ Size uint64 }
	if err := json.Unmarshal([]byte(stdout), &status); exit != 0 || err != nil {
		p.t.Fatalf("status: exit %d, %v: %s", exit, err, stderr)
	}
	return status.Size
}
