package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/spawn"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// TestMain makes this binary the sidecar where it is asked to be.
func TestMain(m *testing.M) {
	if words := len(spawn.Command); len(os.Args) > words && slices.Equal(os.Args[1:1+words], spawn.Command) {
		if err := spawn.Serve(context.Background(), os.Stdin, "", os.Args[slices.Index(os.Args, "--")+1:]); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// options are those of a short attack, of CHAOS_SECONDS where that is set.
func options(t *testing.T) Options {
	t.Helper()
	o := Options{
		Dir: t.TempDir(), Duration: DurationMin, Within: 30 * time.Second, Seed: rand.Uint64N(1 << 32),
		Stderr: os.Stderr,
	}
	if n, err := strconv.Atoi(os.Getenv("CHAOS_SECONDS")); err == nil {
		o.Duration = time.Duration(n) * time.Second
	}
	return o
}

// left fails where something is left in the folder that was given.
func left(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%s is left: %v", entries, err)
	}
}

// TestChaos lets each attack do its worst for CHAOS_SECONDS; without that, the first one alone does, for a second.
func TestChaos(t *testing.T) {
	type row struct {
		name   string
		resume bool
	}
	var rows []row
	for _, name := range Attacks() {
		rows = append(rows, row{name, false})
		if Resumes(name) {
			rows = append(rows, row{name, true})
		}
	}
	if os.Getenv("CHAOS_SECONDS") == "" {
		rows = rows[:1]
	}
	for _, row := range rows {
		name := row.name
		if row.resume {
			name += " --resume"
		}
		t.Run(name, func(t *testing.T) {
			o := options(t)
			o.Attack, o.Resume = row.name, row.resume
			report, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := report.Print(&text); err != nil {
				t.Fatal(err)
			}
			t.Logf("\n%s", &text)
			if !report.Holds {
				t.Error("it does not hold")
			}
			left(t, o.Dir)
		})
	}
}

// judged runs an attack that is in no table.
func judged(t *testing.T, o Options, a attack) *Report {
	t.Helper()
	a.name = "test"
	r, err := newRun(o, &a)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.server.Remove(); err != nil {
			t.Error(err)
		}
	}()
	if err := r.attack(t.Context(), &a); err != nil {
		t.Fatal(err)
	}
	return &r.report
}

func failed(r *Report) (names []string) {
	for _, c := range r.Checks {
		if !c.OK {
			names = append(names, c.Name)
		}
	}
	for _, m := range r.Metrics {
		if !m.OK {
			names = append(names, m.Metric)
		}
	}
	return names
}

// TestVerdictFails has the sidecar lose, double and change things, be late, and metrics not move: each is found, by the check
// that is about it.
func TestVerdictFails(t *testing.T) {
	again := func(harm func(home string) error) func(context.Context, *run) error {
		return func(ctx context.Context, r *run) error {
			r.server.Kill()
			if err := harm(r.server.Home); err != nil {
				return err
			}
			r.options.Within = 2 * time.Second
			return r.server.Start(ctx)
		}
	}
	for _, row := range []struct {
		name  string
		do    func(ctx context.Context, r *run) error
		moved []expectation
		want  string
	}{
		{"the ledger begins anew", again(func(home string) error { // and is not told what another was told
			entries, err := os.ReadDir(home)
			for _, e := range entries {
				if !strings.HasPrefix(e.Name(), "chaos.toml") {
					err = errors.Join(err, os.RemoveAll(filepath.Join(home, e.Name())))
				}
			}
			return err
		}), nil, "nothing lost, nothing twice"},
		{"somebody else writes", func(ctx context.Context, r *run) error {
			stranger := writers.NewFrom(200, 1, 1).At(r.server.Home)
			stranger.Requests = 1
			stranger.Run(ctx)
			return nil
		}, nil, "nothing lost, nothing twice"},
		{"a metric does not move", func(context.Context, *run) error { return nil }, []expectation{rises("", "wal_fsync_fail_total")}, "wal_fsync_fail_total"},
		{"it does not recover", func(ctx context.Context, r *run) error {
			r.options.Within = time.Nanosecond
			r.recovered(ctx, time.Now())
			return nil
		}, nil, "recovered"},
		{"nothing happens", func(context.Context, *run) error { return nil }, nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := options(t)
			report := judged(t, o, attack{do: row.do, moved: row.moved})
			names := failed(report)
			if (row.want == "") != report.Holds || row.want != "" && !slices.Contains(names, row.want) {
				t.Errorf("holds: %v, failed are %q, want %q\n%+v", report.Holds, names, row.want, report.Checks)
			}
			left(t, o.Dir)
		})
	}
}

// TestInterrupted ends an attack amid it: there is no verdict, and nothing is left.
func TestInterrupted(t *testing.T) {
	o := options(t)
	o.Attack, o.Duration = "stall", DurationMax
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(p Progress) {
		if p.Acked > 0 {
			cancel()
		}
	}
	if report, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", report, err)
	}
	left(t, o.Dir)
}

// TestEnvironmentDoesNotReachIt sets what would have the sidecar work elsewhere.
func TestEnvironmentDoesNotReachIt(t *testing.T) {
	t.Setenv("RON_LEDGER_SOCKET", "/nonexistent/elsewhere")
	if slices.ContainsFunc(ownEnvironment(), func(v string) bool { return strings.HasPrefix(v, "RON_LEDGER_") }) {
		t.Error("RON_LEDGER_SOCKET is handed on")
	}
}
