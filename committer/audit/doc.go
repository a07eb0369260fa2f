// Package audit holds a whole ledger against its own bytes. It takes a store that
// nobody writes to, reads its log from the first record to the last, and hands back
// what it counted, or the first thing that is wrong and its sequence number.
//
// It does not trust what it checks. It shares with the writer the decoder of blocks
// and entries, the hash and the arithmetic of the tree, and nothing else: the books are
// kept here once more, from the effects of each kind as docs/PROTOCOL.md has them.
//
//	log ─ reader ─ chunks ─▶ hashers: every record decoded and hashed, in parallel
//	                            │ in order
//	                            ▼
//	       books: identities, balances, holds, reversals, conservation, roots
//	                            │ at the mark
//	                            ▼
//	       state: mark, frontier, balances, supplies, accounts, index, holds,
//	              reversals, requests, roots, tiles
//
// What has to hold:
//
//   - Sequence numbers have no gap, records decode, no identity is there twice, commit
//     times do not fall.
//   - No balance, hold or supply goes below zero or beyond 2^128-1 after any entry. A
//     Credit or Debit stands in an atomic request whose credits are its debits. Release
//     and Capture name a hold with enough left, Reverse an entry of its own account,
//     asset and amount, that was not reversed before.
//   - At the end of every request the balances of every asset add up to its supply.
//   - The root of every commit is that of its records.
//   - An Epoch record stands alone in its commit, continues the numbers and log ids of the epochs
//     before it, and names size and root of the tree before it.
//   - The head file knows of nothing beyond the log's end, and of no other root.
//   - Each row of the derived state that the log gives is there and says the same, and
//     balances, supplies, index, roots have no other rows.
//
// It keeps some 100 bytes in memory for each entry, since each identity has to be met
// once alone.
package audit
