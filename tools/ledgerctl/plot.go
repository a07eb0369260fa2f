package main

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/screen"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// plotFlags are those of plot.
type plotFlags struct {
	svg, since, until, asset string
	every, during            time.Duration
}

// plotPointsMax bounds what is kept of a series. Of a longer one only every second movement is kept, then every
// fourth, and so on.
const plotPointsMax = 1 << 16

func (a *app) plotCommand() *cobra.Command {
	var f plotFlags
	cmd := &cobra.Command{
		Use: "plot latency | throughput | balance ACCOUNT", Short: "draw a balance, or what the sidecar does",
		Long: `Plot draws the available balance of an account over the log, or for --during the latency (p99)
of commits or the entries a second: on the terminal, or with --svg into a file that any browser shows.`,
		Example: "  ledgerctl plot balance acct/100 --since 'last month' --scale 2\n  ledgerctl plot balance acct/100 --svg balance.svg\n" +
			"  ledgerctl plot latency --during 1m",
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.plotOf(cmd.Context(), &f, args)
			if err != nil {
				return err
			}
			if f.svg != "" {
				return writeWhole(f.svg, []byte(p.SVG()))
			}
			for _, line := range p.Text(defaultWidth, defaultHeight-4) {
				if _, err := fmt.Fprintln(a.stdout, line); err != nil {
					return err
				}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.svg, "svg", "", "write a picture into this file")
	flags.StringVar(&f.since, "since", "", "balance: first time, a date or words")
	flags.StringVar(&f.until, "until", "", "balance: time behind the last")
	flags.StringVar(&f.asset, "asset", "", "balance: which asset (default the ledger's unnamed unit)")
	flags.DurationVar(&f.every, "every", time.Second, "latency, throughput: time between two samples")
	flags.DurationVar(&f.during, "during", 30*time.Second, "latency, throughput: how long to look")
	return cmd
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

// plotBalance follows an account as a statement does.
func (a *app) plotBalance(ctx context.Context, c *client.Client, f *plotFlags, account string) (*screen.Plot, error) {
	s := statement{account: account, entries: make(map[string]wire.Entry)}
	var ok bool
	if s.asset, ok = wire.ParseAsset(f.asset); !ok {
		return nil, usagef("--asset %q: at most 8 of A-Z 0-9 . - are wanted", f.asset)
	}
	var err error
	now := time.Now()
	if s.sinceMs, err = parseTime(f.since, now, 0); err == nil {
		s.untilMs, err = parseTime(f.until, now, 1<<62)
	}
	if err != nil {
		return nil, err
	}
	p := &screen.Plot{Title: "balance of " + account + ", movement by movement", Steps: true, ZeroIncluded: true}
	scale := new(big.Float).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(a.scale)), nil))
	size := c.Welcome().Head.Size
	touches, stride := 0, 1 // of the movements in the range, and of which one is kept
	for row, err := range c.Entries(ctx, min(1, size), size) {
		if err != nil {
			return nil, err
		}
		effect, touched := s.effect(row.Record.Entry())
		if row.TimeMs >= s.untilMs {
			break
		}
		if !touched {
			continue
		}
		s.available.Add(&s.available, &effect.available)
		if row.TimeMs < s.sinceMs {
			continue
		}
		if touches++; touches%stride != 0 {
			continue
		}
		balance, _ := new(big.Float).Quo(new(big.Float).SetInt(&s.available), scale).Float64()
		p.Values = append(p.Values, balance)
		if p.Last = timeWord(row.TimeMs)[:len(time.DateOnly)]; p.First == "" {
			p.First = p.Last
		}
		if len(p.Values) == plotPointsMax {
			p.Values, stride = everyOther(p.Values), stride*2
		}
	}
	return p, nil
}

func everyOther(values []float64) []float64 {
	for i := range len(values) / 2 {
		values[i] = values[2*i+1]
	}
	return values[:len(values)/2]
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
