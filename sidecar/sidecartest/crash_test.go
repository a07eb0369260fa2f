package sidecartest

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(attackRole); role != "" {
		attack(role)
		return
	}
	code := m.Run()
	if err := RemoveBuilt(); err != nil && code == 0 {
		code = 1
	}
	os.Exit(code)
}

// crashRounds is CRASH_ROUNDS, 2 where it is not set.
func crashRounds(t *testing.T) int {
	text := os.Getenv("CRASH_ROUNDS")
	if text == "" {
		return 2
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CRASH_ROUNDS is %q, want a number above 0", text)
	}
	return n
}

// TestCrash appends the bank journal, kills ron-ledgerd with SIGKILL at random
// moments of it, the first time of each round in its first half, starts it again, and appends the journal from its beginning:
// every balance is right, nothing is in twice, there is no gap, and every root
// recomputes.
func TestCrash(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CRASH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CRASH_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	bin, journal := Build(t), BankJournal(t)
	interrupted := 0
	rounds := crashRounds(t)
	for round := range rounds {
		if crashRound(t, random, bin, journal) {
			interrupted++
		}
		if t.Failed() {
			t.Fatalf("round %d of seed %d failed", round, seed)
		}
	}
	t.Logf("%d rounds, %d kills hit the append", rounds, interrupted)
	if interrupted == 0 {
		t.Error("no kill hit an append: the test has tested nothing")
	}
}

// awaitSize waits until the ledger has so many entries, for the time of a random kill at most.
func awaitSize(t *testing.T, p *Process, size uint64) {
	t.Helper()
	c := dialHome(t, p)
	defer func() { _ = c.Close() }()
	for until := time.Now().Add(600 * time.Millisecond); time.Now().Before(until); time.Sleep(time.Millisecond) {
		if a, err := c.Account(t.Context(), "bank/cash"); err != nil {
			t.Fatal(err)
		} else if a.Size >= size {
			return
		}
	}
}

// crashRound reports whether a kill came amid the append.
func crashRound(t *testing.T, random *rand.Rand, bin Binaries, journal string) (hit bool) {
	home := ShortDir(t)
	env := []string{"RON_LEDGER_CHECKPOINT_INTERVAL_ENTRIES=" + strconv.Itoa(1000+random.IntN(20_000))}
	for kill := range 1 + random.IntN(3) {
		p := StartProcessEnv(t, bin, home, env)
		command := exec.Command(bin.CLI, "--home", home, "append", "--json", "--retry", "0s", "--batch", strconv.Itoa(1+random.IntN(400)), journal)
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		if kill == 0 {
			awaitSize(t, p, uint64(random.IntN(BankAccepted/2)))
		} else {
			time.Sleep(time.Duration(random.Int64N(int64(600 * time.Millisecond))))
		}
		p.Kill()
		_ = command.Wait() // it fails when the kill came first
		hit = hit || command.ProcessState.ExitCode() == 1
	}
	p := StartProcessEnv(t, bin, home, env)
	summary, exit := p.Append(journal)
	if exit != 3 || summary.Accepted+summary.Duplicate != BankAccepted || summary.Rejected != BankRejected || summary.LastSeq != BankAccepted {
		t.Errorf("append after the crash: exit %d, %+v", exit, summary)
	}
	balances, _ := p.CLI("balances")
	CheckBankBalances(t, balances)
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckHome(t, home)
	return hit
}
