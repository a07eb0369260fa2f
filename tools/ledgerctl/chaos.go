package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/chaos"
)

// chaosEnabled is the variable that has to be true for chaos to do anything.
const chaosEnabled = "RON_LEDGER_CHAOS_ENABLED"

const chaosHelp = `Chaos does evil to a sidecar and says what came of it. It attacks a sidecar that it starts
itself, in a home below --dir that is removed again, and never another: no flag and no
variable names one. RON_LEDGER_* variables do not reach it. Yet it takes processor, memory and
disk beside whatever runs here, so it is refused unless RON_LEDGER_CHAOS_ENABLED is true.

  kill        SIGKILL at random moments, and a start behind each
  disk-fill   the disk goes below its reserve, and has room again
  slowloris   connections that greet, send or read too slowly, or not at all
  stall       SIGSTOP and SIGCONT, as a frozen container or a hanging disk
  flood       many writers, as fast as it goes, into queues that are too small
  tls-storm   handshakes and noise on a full HTTPS port; --resume resumes sessions

Four writers append throughout, and keep journals of what they sent and what was
acknowledged. At the end every entry and root is read back and held against them, the home
is verified as ledgerctl verify does, metrics have to have moved that alerts look at, and
after each disturbance every writer has to be served again within --within.

disk-fill fills a small file system of its own, in a mount namespace. Where none may be made,
or with --shared-disk, it writes 128 MiB beside the home and has the reserve stand as high.

Exit status 0: the verdict is that it holds; 1: it does not, or there is none.`

func (a *app) chaosCommand() *cobra.Command {
	var resume, sharedDisk, namespaced bool
	o := chaos.Options{Duration: 10 * time.Second, Within: 10 * time.Second}
	cmd := &cobra.Command{
		Use: "chaos " + strings.Join(chaos.Attacks(), "|"), Short: "attack a sidecar of its own, and judge how it stood it", Long: chaosHelp,
		Example: "  RON_LEDGER_CHAOS_ENABLED=true ledgerctl chaos kill --dir /tmp\n  RON_LEDGER_CHAOS_ENABLED=true ledgerctl chaos tls-storm --resume --dir /tmp --duration 30s --json",
		Args:    exactly(1), ValidArgs: chaos.Attacks(),
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", "", "folder for the home of the sidecar that is attacked; needed")
	f.DurationVar(&o.Duration, "duration", o.Duration, fmt.Sprintf("how long to attack, %v to %v", chaos.DurationMin, chaos.DurationMax))
	f.DurationVar(&o.Within, "within", o.Within, "how long a recovery may take")
	f.Uint64Var(&o.Seed, "seed", 0, "of moments and entries (default random)")
	f.BoolVar(&resume, "resume", false, "tls-storm: handshakes resume sessions")
	f.BoolVar(&sharedDisk, "shared-disk", false, "disk-fill: mount nothing")
	f.BoolVar(&namespaced, "namespaced", false, "disk-fill: this is the process in the namespace")
	_ = f.MarkHidden("namespaced")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.Attack, o.Resume = args[0], resume
		if err := a.checkChaos(&o); err != nil {
			return err
		}
		if o.Seed == 0 {
			o.Seed = rand.Uint64N(1 << 32)
		}
		if o.Attack == "disk-fill" && !sharedDisk && !namespaced {
			status, err := chaosInNamespace(cmd.Context(), os.Args[1:])
			if err == nil && status != exitOK {
				return endedError(status)
			}
			if !errors.Is(err, chaos.ErrNoNamespace) {
				return err
			}
		}
		return a.chaos(cmd.Context(), &o, namespaced)
	}
	return cmd
}

// chaosInNamespace runs the same command line again where a file system can be mounted.
func chaosInNamespace(ctx context.Context, args []string) (status int, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("find this program: %w", err)
	}
	return chaos.InNamespace(ctx, program, append(slices.Clip(args), "--namespaced")...)
}

// checkChaos refuses what is not asked for clearly, and all that could name another sidecar.
func (a *app) checkChaos(o *chaos.Options) error {
	switch {
	case a.env(chaosEnabled) != "true":
		return usagef("chaos takes processor, memory and disk beside whatever runs here: set %s=true where it may", chaosEnabled)
	case !slices.Contains(chaos.Attacks(), o.Attack):
		return usagef("there is no attack %q: %s", o.Attack, strings.Join(chaos.Attacks(), ", "))
	case a.home != "" || a.socket != "" || a.tokenFile != "":
		return usagef("chaos attacks a sidecar that it starts itself: leave --home, --socket and --token-file out")
	case o.Dir == "":
		return usagef("say with --dir where the home of the sidecar goes that chaos starts and attacks")
	case o.Duration < chaos.DurationMin || o.Duration > chaos.DurationMax:
		return usagef("--duration is %v: it has to be in %v..%v", o.Duration, chaos.DurationMin, chaos.DurationMax)
	case o.Within <= 0:
		return usagef("--within is %v: it has to be more than 0", o.Within)
	case o.Resume && !chaos.Resumes(o.Attack):
		return usagef("--resume is for tls-storm")
	}
	return nil
}

// chaos attacks and prints the verdict.
func (a *app) chaos(ctx context.Context, o *chaos.Options, namespaced bool) (err error) {
	if namespaced {
		remove, err := ownDisk(o)
		defer remove()
		if err != nil {
			fmt.Fprintf(a.stderr, "ledgerctl: %v: going on with --shared-disk\n", err)
		}
	}
	var elapsed atomic.Int64
	bar := a.startBar("chaos "+o.Attack+", s", progress.UnitsDefault, func() (int64, int64) { return elapsed.Load(), int64(o.Duration / time.Second) })
	o.Progress = func(p chaos.Progress) { elapsed.Store(int64(p.Elapsed / time.Second)) }
	o.Stderr = a.stderr
	report, err := chaos.Run(ctx, *o)
	bar.stop()
	if err != nil {
		return err
	}
	if a.json {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(report)
	} else {
		err = report.Print(a.stdout)
	}
	if err == nil && !report.Holds {
		err = fmt.Errorf("chaos %s: it does not hold: repeat it with --seed %d", o.Attack, o.Seed)
	}
	return err
}

// ownDisk mounts a small file system below --dir and has the home be on it; where it cannot, the home
// stays where it was to be. remove takes away what was made.
func ownDisk(o *chaos.Options) (remove func(), err error) {
	dir, err := os.MkdirTemp(o.Dir, "disk-")
	if err != nil {
		return func() {}, fmt.Errorf("make a folder for a small disk: %w", err)
	}
	unmounted := func() { _ = os.Remove(dir) }
	if err := chaos.MountOwnDisk(dir); err != nil {
		return unmounted, err
	}
	o.Dir, o.OwnDisk = dir, true
	return func() {
		_ = chaos.UnmountOwnDisk(dir)
		unmounted()
	}, nil
}
