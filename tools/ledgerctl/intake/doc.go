// Package intake reads the entries of files that other programs write. It takes lines
// of CSV under a mapping, or transactions of hledger and beancount journals, and hands
// the fields of entries to ledgerctl append, one by one, with the line that each began at.
//
//	CSV + mapping ─▶ row ─┐
//	journal ─▶ transaction ─▶ wire.Fields ─▶ ledgerctl append
//
// Nothing is guessed. What the mapping does not name, and what a transaction says beyond
// two postings of one amount, is an error that names the line. Files are read line by line.
//
// # Identity
//
// A file may be sent again, so an entry needs the same nonce each time. A mapping may name a
// column for it. Where there is none, the nonce is the first 16 bytes of the SHA-256 of the entry's
// account and of its parts in a form that no other entry has, and of how often the same
// has come before in the file: two equal lines are two entries. Memory for that is bounded, for a file of any length: 64 MiB
// remember what came, and a million entries that come more than once are counted; beyond that the file is refused.
package intake
