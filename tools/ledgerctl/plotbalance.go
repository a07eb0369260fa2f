package main

import (
	"context"
	"math/big"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/screen"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// balanceSeries is the balance of an account behind each of its movements in a range, or behind every so many of them.
type balanceSeries struct {
	values  []float64
	timesMs []int64
	stride  int // of the movements, which is kept
	behind  int // movements since the last that was kept
}

func (s *balanceSeries) add(value float64, ms int64) {
	if s.behind++; s.behind < s.stride {
		return
	}
	s.behind = 0
	s.values, s.timesMs = append(s.values, value), append(s.timesMs, ms)
	if len(s.values) == plotPointsMax {
		s.values, s.timesMs, s.stride = everyOther(s.values), everyOther(s.timesMs), s.stride*2
	}
}

func everyOther[T any](values []T) []T {
	for i := range len(values) / 2 {
		values[i] = values[2*i+1]
	}
	return values[:len(values)/2]
}

// plotBalance follows an account as a statement does.
func (a *app) plotBalance(ctx context.Context, c *client.Client, f *plotFlags, account string) (*screen.Plot, error) {
	s := statement{account: account}
	s.follows(ctx, c)
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
	series := balanceSeries{stride: 1}
	scale := new(big.Float).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(a.scale)), nil))
	balance := func() float64 {
		value, _ := new(big.Float).Quo(new(big.Float).SetInt(&s.available), scale).Float64()
		return value
	}
	begun := f.since == "" || f.by == byMovement
	begin := func() { // what there was already
		if !begun {
			begun = true
			series.add(balance(), s.sinceMs)
		}
	}
	endMs := s.sinceMs // of what was read
	size := c.Welcome().Head.Size
	count, stop := a.scanning("balance", size)
	defer stop()
	for row, err := range c.Entries(ctx, min(1, size), size) {
		if err != nil {
			return nil, err
		}
		count()
		if row.TimeMs >= s.untilMs {
			break
		}
		effect, touched, err := s.effect(row.Record.Entry())
		if err != nil {
			return nil, err
		}
		inRange := row.TimeMs >= s.sinceMs
		if inRange {
			begin()
		}
		if touched {
			s.available.Add(&s.available, &effect.available)
			if inRange {
				series.add(balance(), row.TimeMs)
			}
		}
		endMs = max(endMs, row.TimeMs)
	}
	begin()
	return series.plot(account, f.by, endMs), nil
}

// plot draws the series up to a time.
func (s *balanceSeries) plot(account, by string, endMs int64) *screen.Plot {
	p := &screen.Plot{Title: "balance of " + account, Values: s.values, Steps: true, ZeroIncluded: true}
	if len(s.values) == 0 {
		return p
	}
	first := s.timesMs[0]
	p.First, p.Last = axisWords(first, endMs)
	if by == byMovement {
		p.Title += ", movement by movement"
		return p
	}
	p.At = make([]float64, len(s.values))
	for i, ms := range s.timesMs {
		p.At[i] = float64(ms-first) / float64(max(endMs-first, 1))
	}
	return p
}

// axisWords names both ends of a range of time, by the day where it is of several.
func axisWords(first, last int64) (from, to string) {
	layout := time.DateOnly
	switch length := time.Duration(last-first) * time.Millisecond; {
	case length < 2*time.Minute:
		layout = "2006-01-02 15:04:05.000"
	case length < 48*time.Hour:
		layout = "2006-01-02 15:04"
	}
	return time.UnixMilli(first).UTC().Format(layout), time.UnixMilli(last).UTC().Format(layout)
}
