package sidecartest

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// copyHome copies what a process that has ended left, so that it can be looked at while the next
// start finds it untouched.
func copyHome(t *testing.T, home string) string {
	t.Helper()
	to := filepath.Join(ShortDir(t), "copy")
	if err := copyFiles(home, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// copyFiles copies the regular files of a tree: no sockets.
func copyFiles(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch into := filepath.Join(to, name); {
		case entry.IsDir():
			return os.MkdirAll(into, 0o700)
		case entry.Type().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(into, text, 0o600)
		}
		return nil
	})
}

// TestKillsUnderLoad kills ron-ledgerd KILL_ROUNDS times, 6 unless told, with SIGKILL at random
// moments of a load by several writers, from the start of the process on. What each kill left is
// held against the journals of the writers before the next start finds it.
func TestKillsUnderLoad(t *testing.T) {
	seed, rounds := setting(t, "KILL_SEED", uint64(time.Now().UnixNano())%1_000_000), int(setting(t, "KILL_ROUNDS", 6))
	t.Logf("KILL_SEED=%d KILL_ROUNDS=%d", seed, rounds)
	random, bin := rand.New(rand.NewPCG(seed, 2)), Build(t)
	var total writers.Count
	caught := 0
	for first := 0; first < rounds; first += killsPerHome {
		n, hits := killHome(t, bin, random, seed+uint64(first), min(killsPerHome, rounds-first))
		caught += hits
		total.Acked += n.Acked
		total.Entries += n.Entries
		total.Resent += n.Resent
		total.Broken += n.Broken
	}
	t.Logf("%d kills, %d amid requests; %d requests of %d entries acknowledged, %d of them sent more than once, %d connections lost",
		rounds, caught, total.Acked, total.Entries, total.Resent, total.Broken)
	if total.Acked == 0 || caught == 0 {
		t.Error("no kill came amid a load: the test has tested nothing")
	}
}

// killsPerHome is how often one ledger is killed. It grows with each life, and so does its audit.
const killsPerHome = 10

// killHome kills one ledger several times, then starts it a last time, settles what is unresolved
// and stops it. It returns how many kills left requests without an answer.
func killHome(t *testing.T, bin Binaries, random *rand.Rand, seed uint64, kills int) (n writers.Count, caught int) {
	t.Helper()
	home := ShortDir(t)
	load := writers.New(seed, 2+random.IntN(4)).At(home)
	env := []string{fmt.Sprintf("RON_LEDGER_CHECKPOINT_INTERVAL_ENTRIES=%d", 256+random.IntN(2000))}
	for range kills {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			load.Run(ctx)
		}()
		p := LaunchProcess(t, bin, home, env)
		if random.IntN(4) > 0 { // else it may come amid the start
			if err := p.await(); err != nil {
				t.Fatalf("start ron-ledgerd: %v\n%s", err, p.Output())
			}
		}
		time.Sleep(time.Duration(random.Int64N(int64(120 * time.Millisecond))))
		p.Kill()
		cancel()
		<-ended
		count, _ := load.Count()
		if count.Unresolved > 0 {
			caught++
		}
		if _, err := os.Stat(filepath.Join(home, "meta")); err == nil { // else there is no ledger yet
			CheckLoad(t, load, copyHome(t, home))
		}
	}
	p := StartProcessEnv(t, bin, home, env)
	settle(t, load)
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckLoad(t, load, home)
	n, _ = load.Count()
	return n, caught
}

// settle has the load send again what is unresolved.
func settle(t *testing.T, load *writers.Load) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := load.Settle(ctx); err != nil {
		t.Fatal(err)
	}
}

// under runs a load against a process while do does something to it.
func under(t *testing.T, load *writers.Load, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		load.Run(ctx)
	}()
	do()
	cancel()
	<-ended
}

// awaitAcks waits until the load has that many more answers.
func awaitAcks(t *testing.T, load *writers.Load, more int) {
	t.Helper()
	before, _ := load.Count()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if now, _ := load.Count(); now.Acked >= before.Acked+more {
			return
		}
	}
	t.Fatalf("no %d further answers within %s", more, startTimeout)
}

// TestTermUnderLoad stops ron-ledgerd with SIGTERM amid a load: it drains, ends with 0 in time, and
// what was taken is there; the clients find out what became of the rest from the next life.
func TestTermUnderLoad(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	load := writers.New(1, 4).At(home)
	for range 3 {
		p := StartProcess(t, bin, home)
		under(t, load, func() {
			awaitAcks(t, load, 200)
			began := time.Now()
			if exit := p.Stop(); exit != 0 {
				t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
			}
			t.Logf("drained within %s", time.Since(began).Round(time.Millisecond))
		})
		CheckLoad(t, load, copyHome(t, home))
	}
	p := StartProcess(t, bin, home)
	settle(t, load)
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckLoad(t, load, home)
	count, _ := load.Count()
	t.Logf("%+v", count)
}

// TestStopUnderLoad stops ron-ledgerd with SIGSTOP for STOP_SECONDS, 2 unless told, amid a load,
// and lets it go on: no connection is lost, every request is answered, and those that waited say so.
func TestStopUnderLoad(t *testing.T) {
	stop := time.Duration(setting(t, "STOP_SECONDS", 2)) * time.Second
	bin, home := Build(t), ShortDir(t)
	load := writers.New(1, 4).At(home)
	p := StartProcess(t, bin, home)
	under(t, load, func() {
		awaitAcks(t, load, 50)
		signal := func(s syscall.Signal) {
			if err := p.command.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		signal(syscall.SIGSTOP)
		time.Sleep(stop + stop/4) // who sends the next request amid the stop waits for all of that, too
		signal(syscall.SIGCONT)
		awaitAcks(t, load, 50)
	})
	count, err := load.Count()
	t.Logf("stopped for %s: %+v", stop, count)
	if err != nil {
		t.Error(err)
	}
	if count.Unresolved > 0 || count.Slowest < stop {
		t.Errorf("%d requests without an answer, the slowest took %s", count.Unresolved, count.Slowest)
	}
	if stop < 10*time.Second && count.Broken > 0 {
		t.Errorf("%d connections were lost by a stop that is shorter than any deadline", count.Broken)
	}
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckLoad(t, load, home)
}
