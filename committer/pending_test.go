package committer

import (
	"sync"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

// An entry that repeats one of the commit before is compared with it while that commit
// is being written and its answers are told. Under the race detector this shows whether
// anybody changes a commit that the committer may still read.
func TestEntriesOfACommitAreReadWhileItIsAnswered(t *testing.T) {
	b := newBench(t, Options{CheckpointEntries: 50, BatchMaxEntries: 4})
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for i := 1; i <= 200; i++ {
				f := mint("a", 1)
				f.Nonce = wire.Nonce{14: byte(i >> 8), 15: byte(i)}
				r := b.append(f)
				if r.Accepted+uint32(len(r.Results)) != 1 || r.Accepted == 0 && r.Results[0].Outcome != wire.OutcomeDuplicate {
					t.Errorf("entry %d: %+v", i, r.Results)
				}
			}
		})
	}
	writers.Wait()
	if got := b.balance("a", ""); got != "200/0" {
		t.Fatal(got)
	}
}
