package chaos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client/writers"
)

const (
	floodWriters = 48
	floodEntries = 40 // of a request, at most
	floodIngress = 32 // requests that the queues take: far fewer than are under way
	floodCommit  = 16
)

// flood has many writers append as fast as it goes into queues that are far too small for them. They keep journals too: what
// is refused as busy is sent again, and nothing of it may be there twice.
func flood() attack {
	return attack{
		name: "flood", do: doFlood, amid: true,
		config: fmt.Sprintf("[queues]\ningress = %d\ncommit = %d\n", floodIngress, floodCommit),
		moved: []expectation{
			rises("LedgerBusy", "busy_rejections_total"),
			{metric: "queue_depth/queue_capacity", alert: "LedgerQueueFull", want: "rises",
				value: func(m scrape.Metrics) float64 {
					return max(m.Sum("queue_depth", "q", "commit")/floodCommit, m.Sum("queue_depth", "q", "ingress")/floodIngress)
				},
				moved: func(before, furthest, _ float64) bool { return furthest > before }},
		},
	}
}

func doFlood(ctx context.Context, r *run) error {
	load := writers.NewFrom(writerCount, r.options.Seed, floodWriters).At(r.server.Home)
	load.Entries = floodEntries
	r.others = append(r.others, load)
	attacking, end := r.lasting(ctx)
	defer end()
	var flooding sync.WaitGroup
	flooding.Go(func() { load.Run(attacking) })
	<-attacking.Done()
	since := time.Now()
	flooding.Wait()
	r.recovered(ctx, since)
	count, err := load.Count()
	r.report.did("writers as fast as it goes", floodWriters)
	r.report.did("requests of theirs acknowledged", count.Acked)
	if err == nil && count.Refused[wire.ReasonBusy] == 0 {
		err = errors.New("no request was refused: it was no flood")
	}
	r.check("the flood is told busy", err, fmt.Sprintf("%d times, by name", count.Refused[wire.ReasonBusy]))
	return nil
}
