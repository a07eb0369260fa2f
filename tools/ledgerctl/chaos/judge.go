package chaos

import (
	"context"
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

// judge holds what is left against the journals, the metrics and the time, once no writer runs. An error says that
// there is no verdict.
func (r *run) judge(ctx context.Context) error {
	settling, cancel := context.WithTimeout(ctx, r.options.Within)
	defer cancel()
	var settled error
	for _, load := range r.loads() {
		settled = errors.Join(settled, load.Settle(settling))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.check("everything is answered", settled, "what had no answer was sent again")
	r.count()
	log, last, err := r.read(ctx)
	if err == nil {
		err = writers.Hold(log, r.loads()...)
	}
	r.check("nothing lost, nothing twice", err, fmt.Sprintf("%d entries at their numbers, under the roots that were answered", last.Size))
	moved, err := r.figures.end(ctx)
	if err != nil {
		return err
	}
	r.report.Metrics = moved
	r.check("recovered", r.notRecovered, fmt.Sprintf("%d times, after %.2f s at most (within %g s)", r.report.Recoveries, r.report.RecoveredAfter, r.report.Within))
	r.check("stops cleanly", r.server.Stop(), "status 0")
	r.check("verify", r.verify(ctx, last), fmt.Sprintf("root %x of %d entries, recomputed from the home", last.Root, last.Size))
	r.report.Holds = r.report.holds()
	return ctx.Err()
}

// loads are all who write.
func (r *run) loads() []*writers.Load { return append([]*writers.Load{r.writers}, r.others...) }

// check notes a check: err is what it found.
func (r *run) check(name string, err error, detail string) {
	c := Check{Name: name, OK: err == nil, Detail: detail}
	if err != nil {
		c.Detail = err.Error()
	}
	r.report.Checks = append(r.report.Checks, c)
}

// count adds up the journals. What a writer was told and should not have been is found by Hold.
func (r *run) count() {
	for i, load := range r.loads() {
		n, _ := load.Count()
		if i == 0 {
			r.report.P99Ms, r.report.SlowestMs = n.P99.Seconds()*1e3, n.Slowest.Seconds()*1e3
		}
		r.report.Requests += n.Acked
		r.report.Entries += n.Entries
		r.report.SentAgain += n.Resent
		r.report.ConnectionsLost += n.Broken
		for reason, count := range n.Refused {
			if r.report.Refused == nil {
				r.report.Refused = map[string]int{}
			}
			r.report.Refused[reason.String()] += count
		}
	}
}

// read reads every entry and every root over the socket, as an application does.
func (r *run) read(ctx context.Context) (log *writers.Log, last wire.Head, err error) {
	c, err := client.Dial(ctx, r.server.Client("ledgerctl chaos"))
	if err != nil {
		return nil, last, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	log = writers.NewLog()
	size := uint64(0)
	for row, err := range c.Entries(ctx, 1, client.ToHead) {
		if err != nil {
			return nil, last, err
		}
		if row.Seq != size+1 {
			return nil, last, fmt.Errorf("%d follows entry %d", row.Seq, size)
		}
		if err := log.Add(row.Seq, row.Record.Entry()); err != nil {
			return nil, last, err
		}
		size = row.Seq
	}
	for last.Size < size {
		page, err := c.Roots(ctx, last.Size, 0, 0)
		if err != nil {
			return nil, last, err
		}
		if len(page.Roots) == 0 {
			return nil, last, fmt.Errorf("there is no root of all %d entries, the newest is of %d", size, last.Size)
		}
		for _, head := range page.Roots {
			log.Root(head.Size, head.Root)
			last = head
		}
	}
	return log, last, nil
}

// verify holds the home, which is closed, to what ledgerctl verify asks, and to what was read.
func (r *run) verify(ctx context.Context, last wire.Head) error {
	report, err := sidecar.Verify(ctx, r.server.Home, nil)
	if err != nil {
		return err
	}
	if report.Size != last.Size || report.Root != last.Root {
		return fmt.Errorf("the home has root %x of %d entries, read over the socket were root %x of %d", [32]byte(report.Root), report.Size, last.Root, last.Size)
	}
	return nil
}
