package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/screen"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// plotFlags are those of plot.
type plotFlags struct {
	svg, png, since, until, asset, by string
	every, during                     time.Duration
}

// plotPointsMax bounds what is kept of a series. Of a longer one only every second movement is kept, then every
// fourth, and so on.
const plotPointsMax = 1 << 16

// What a balance is drawn over.
const (
	byTime     = "time"
	byMovement = "movement"
)

func (a *app) plotCommand() *cobra.Command {
	var f plotFlags
	cmd := &cobra.Command{
		Use: "plot latency | throughput | balance ACCOUNT", Short: "draw a balance, or what the sidecar does",
		Long: `Plot draws the available balance of an account, over time or movement by movement, or for
--during the latency (p99) of commits or the entries a second: on the terminal, or with --svg or
--png into a picture. With --json it prints the values instead.`,
		Example: "  ledgerctl plot balance acct/100 --since 'last month' --scale 2\n  ledgerctl plot balance acct/100 --by movement --png balance.png\n" +
			"  ledgerctl plot latency --during 1m --svg latency.svg",
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.by != byTime && f.by != byMovement {
				return usagef("--by %q: time or movement are wanted", f.by)
			}
			p, err := a.plotOf(cmd.Context(), &f, args)
			if err != nil {
				return err
			}
			return a.printPlot(p, &f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.svg, "svg", "", "write a picture into this file, as SVG")
	flags.StringVar(&f.png, "png", "", "write a picture into this file, as PNG")
	flags.StringVar(&f.by, "by", byTime, "balance: over time, or movement by movement")
	flags.StringVar(&f.since, "since", "", "balance: first time, a date or words")
	flags.StringVar(&f.until, "until", "", "balance: time behind the last")
	flags.StringVar(&f.asset, "asset", "", "balance: which asset (default the ledger's unnamed unit)")
	flags.DurationVar(&f.every, "every", time.Second, "latency, throughput: time between two samples")
	flags.DurationVar(&f.during, "during", 30*time.Second, "latency, throughput: how long to look")
	return cmd
}

// plotJSON is what --json prints of a plot.
type plotJSON struct {
	Title  string    `json:"title"`
	Unit   string    `json:"unit"`
	First  string    `json:"first"` // words at the ends of the axis
	Last   string    `json:"last"`
	Values []float64 `json:"values"`
	At     []float64 `json:"at,omitempty"` // where between first and last each value is, 0 to 1
}

func (a *app) printPlot(p *screen.Plot, f *plotFlags) error {
	if f.png != "" {
		picture, err := p.PNG()
		if err == nil {
			err = writeWhole(f.png, picture)
		}
		if err != nil {
			return err
		}
	}
	if f.svg != "" {
		if err := writeWhole(f.svg, []byte(p.SVG())); err != nil {
			return err
		}
	}
	if a.json {
		return printJSON(a.stdout, plotJSON{p.Title, p.Unit, p.First, p.Last, p.Values, p.At})
	}
	if f.svg != "" || f.png != "" {
		return nil
	}
	for _, line := range p.Text(defaultWidth, defaultHeight-4) {
		if _, err := fmt.Fprintln(a.stdout, line); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) plotOf(ctx context.Context, f *plotFlags, args []string) (p *screen.Plot, err error) {
	what := args[0]
	if (what == "balance") != (len(args) == 2) {
		return nil, usagef("plot latency, plot throughput or plot balance ACCOUNT are wanted")
	}
	err = a.with(ctx, func(c *client.Client) error {
		switch what {
		case "balance":
			p, err = a.plotBalance(ctx, c, f, args[1])
		case "latency", "throughput":
			p, err = a.plotLive(ctx, c, f, what)
		default:
			err = usagef("%q cannot be drawn: latency, throughput or balance ACCOUNT can", what)
		}
		return err
	})
	return p, err
}

// plotLive takes samples as top does.
func (a *app) plotLive(ctx context.Context, c *client.Client, f *plotFlags, what string) (*screen.Plot, error) {
	if f.every < 100*time.Millisecond || f.during < f.every || f.during/f.every > plotPointsMax {
		return nil, usagef("--every is at least 100ms, and --during at least as long, for at most %d samples", plotPointsMax)
	}
	s := &topSampler{client: c}
	if home, err := a.homePath(); err == nil {
		s.ca = scrape.HomeCertificate(home)
	}
	p := &screen.Plot{Title: "entries a second", First: "0s", Last: f.during.String(), ZeroIncluded: true}
	if what == "latency" {
		p.Title, p.Unit = "latency of commits, p99", "ms"
	}
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for end := time.Now().Add(f.during); ; {
		if err := s.sample(ctx, f.every); err != nil {
			return nil, err
		}
		if t := &s.screen; t.Unmeasured != "" {
			return nil, fmt.Errorf("draw the %s: %s", what, t.Unmeasured)
		} else if len(t.Entries) > 0 {
			of := t.Entries
			if what == "latency" {
				of = t.P99
			}
			p.Values = append(p.Values, of[len(of)-1])
		}
		if !time.Now().Before(end) {
			return p, nil
		}
		select {
		case <-ctx.Done():
			return p, nil
		case <-tick.C:
		}
	}
}
