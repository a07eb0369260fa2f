// Package committer is the one writer of a ledger. It takes admitted requests
// from the sessions through a bounded queue, gives their entries a gap-free
// order, holds them against the rules, adds their leaves to the tree, and hands
// each commit to the store; what is durable it publishes: answers to the
// sessions, the head to readers and watchers.
//
//	sessions ─ Submit ─▶ queue ─▶ committer ─▶ writer ─▶ publisher ─▶ Complete, Head
//	                      1000     rules,       store.     in order
//	                               tree         Append
//	                                 ▲             │
//	                                 └── written ──┘        ─▶ checkpointer ─▶ store.Checkpoint
//
// Four goroutines, each with one task. Only the committer's changes ledger state;
// it works on memory. While the writer syncs commit N, the committer takes what
// arrives into commit N+1; as soon as N is durable, N+1 is sealed as it is. There
// is no timer: batches grow by themselves under load, up to BatchMaxEntries.
//
// # What an answer promises
//
// A request is completed only after its commit and all before it are durable, in
// the order of commits. An answer that names a sequence number MUST mean that the
// entry survives any crash, at that number, under the root in the answer. That
// holds for repetitions too: a duplicate of an entry whose own commit is still
// being synced is answered after it.
//
// # Failing
//
// A failed write of the log, a gap, or balances that do not add up leave a state
// that is not known. Then Options.Fatal is called and nothing is acknowledged
// again; the next start replays the log and decides.
//
// # Derived state
//
// The log is the truth. Balances, identities, holds, reversals, supplies, tiles
// and the list of roots follow from it and are checkpointed every
// CheckpointEntries. What changed since is in memory: the interval that is being
// filled (current) and the one whose checkpoint is being written (frozen). At
// most checkpointBacklog intervals pile up; beyond that the queue waits. A start
// takes the newest checkpoint and replays the log behind it through the functions
// that commit, comparing every root.
//
// # The rules
//
// rules.go, movements.go and reversal.go are the specification of what each kind
// does (FORMATS §2). An entry is judged in a fixed order, which is the precedence
// of the reasons:
//
//	identity   duplicate, conflict
//	ref        unknown_ref, already_reversed
//	place      unbalanced: a leg outside an atomic request
//	funds      insufficient_funds
//	range      overflow
//
// A rejected entry changes nothing. An atomic request is judged entry by entry;
// the first rejection, legs that differ, or entries known beside entries new take
// everything back (undo.go). Conservation is checked at every commit: the total
// of all balances of an asset, kept where balances are written, equals its
// supply, kept where money is minted and burnt.
package committer
