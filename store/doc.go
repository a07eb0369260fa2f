// Package store makes finished commits durable and keeps what is derived from them.
//
// Station 5 of the flow. It takes commits, in order, from the committer and returns once they are on
// disk; at start it hands them back in order, from the mark of the newest checkpoint on. It takes
// checkpoints of derived state from the committer and answers look-ups and listings from them. It is
// the only package that knows Pebble.
//
// # The home
//
//	HOME/log/           Pebble: blocks of records and roots. The truth; every commit is synced.
//	HOME/state/         Pebble: what is derived. No WAL; written by checkpoints alone.
//	HOME/head           the newest durable (seq, root), outside both databases
//	HOME/meta           the identity of the ledger; written last when a home is made
//	HOME/index.ingest   the index table of a checkpoint under way
//	HOME/state.rebuild  makes the next Open discard the state
package store
