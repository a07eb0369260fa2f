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
//	HOME/meta           the identity of the ledger; written last when a home is made, and again
//	                    with each new epoch
//	HOME/index*.ingest  the index tables of a checkpoint under way
//	HOME/state.rebuild  makes the next Open discard the state
//
// A database is made under the name NAME.new, closed, renamed, and opened again before its first
// write. Where meta exists, a missing log is loss and Open fails. In memory (FS Memory) all is the
// same over a file system that forgets.
//
// # The log
//
// The log's database holds blocks and nothing else. The key of a block is the sequence number of
// its first record, big-endian, so blocks arrive in key order, flushed tables never overlap, and
// compactions move tables without rewriting them: each byte is written to the WAL and once to a
// table. A block never crosses a multiple of 256 leaves (leaf = sequence number − 1), so a commit is
// one or more blocks, in one batch. The last block of a commit carries its root; the log must end
// with such a block. All integers in the value are little-endian:
//
//	 0       1       2               4               6               8
//	+-------+-------+---------------+---------------+---------------+
//	| ver 1 | flags | records 1–256 | groups        | zero          |
//	+-------+-------+---------------+---------------+---------------+
//	| length of the records, raw    | time of the commit, Unix ms   |  8
//	+-------------------------------+                               |
//	|                               |                                  16 .. 20
//	+-------------------------------+
//	| root, 32 bytes: only where flags has bit 1                    |  20
//	+---------------------------------------------------------------+
//	| groups × 24 bytes: those that begin in this block             |
//	|   u16 first record − key · u16 zero · u32 records · idem_id   |
//	+---------------------------------------------------------------+
//	| records back to back, S2-compressed where flags has bit 0     |
//	|   entry (its first u16 is its size, 80..2048) · 24-byte stamp |
//	+---------------------------------------------------------------+
//
// flags: bit 0 = the records are an S2 block; bit 1 = last block of its commit. Other bits are zero.
// A group may reach over the end of its block into the commit's next ones. Decoding checks every
// length and accepts only what encoding makes.
//
// # The head file
//
// Two slots of 64 bytes, at 0 and 4096, written in turn after each durable commit and synced in the
// background by SyncHead:
//
//	"RLGHEAD1" · u64 seq · 32 bytes root · u64 count · u32 zero · u32 CRC-32C of the 60 bytes before
//
// The whole slot with the higher count counts. It is never ahead of what was durable, so a log that
// ends before it has lost something: Pebble opens cleanly over some damaged WALs.
//
// # The state
//
// Keys begin with a letter; integers in keys and values are big-endian, amounts and hashes as given.
//
//	a key of the state                      its value
//	'b' name 0 asset[8]                     available[16] held[16]
//	'd' u64 block                           256 digests[16] of entries whose bodies were pruned
//	'h' nonce[16] u64 account               asset[8] remaining[16]
//	'm'                                     the mark
//	'n' name                                u64 account number
//	'q' idem_id[16]                         u64 first record, u32 records
//	'r' u64 seq                             root[32] u64 Unix ms
//	's' asset[8]                            supply[16]
//	't' u8 level u64 index                  the tile; level 0: 256 leaf hashes of pruned bodies
//	'v' u64 seq                             u64 seq of its reversal
//	'x' nonce[16] u64 account               u64 seq of the record
//
// Names hold no zero byte, so balances sort by name, then asset. A checkpoint writes the 'x' rows
// as a sorted table that is ingested, then everything else in one batch that ends with 'm', then
// flushes. A crash in between leaves the old mark and perhaps 'x' rows beyond it, which LookupIdentity
// does not count. 'x' sorts behind all others, so that no flushed table spans the index: nonces
// above all before make a table of their own, which overlaps nothing, is ingested at the bottom, and stays. Every table has a filter, asked in all levels: a look-up that misses reads no
// data block.
//
// Open discards the state and starts an empty one when it does not open, when its mark is beyond the
// log or has another root than the log there, or when a look-up found it damaged before.
//
// # Rules
//
//   - Append MUST NOT return nil before the commit is synced. Options.Fatal MUST NOT return: Pebble
//     answers a failed commit with success when its logger's Fatalf returns.
//   - A failed write of the state ends checkpoints until the next Open, and touches nothing else. Where
//     Pebble would end the process instead (guard.go), Fatal is called: behind a marker whose directory
//     cannot be synced, and while a database opens.
//   - A damaged table of the log makes reads of it fail and is reported with its path; a damaged state is
//     made again by the next Open.
//   - Reads of the log end at what is durable, never at what Pebble already shows.
package store
