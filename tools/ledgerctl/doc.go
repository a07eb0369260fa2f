// Ledgerctl is everything that a person does with ron-ledger from a terminal. It
// takes commands, files of entries and the answers of a sidecar, which it finds by
// itself, and hands out text or, with --json, JSON that it can read back.
//
//	files, flags ─▶ entries ─▶ wire/client ─▶ sidecar ─▶ tables, JSON, exit status
//
// Exit status:
//
//	0  done; append: every entry was accepted or a duplicate
//	1  failed; the error says what to do next
//	2  the command line is wrong
//	3  append and the single entries: some entries were rejected
//	4  verify, recover, proofs, monitor, fleet: what was checked is not so
//	5  monitor --once: nothing newer was published for --max-age
//
// Called by the name ron-ledgerd it is the sidecar and nothing else: one file has both
// names, since demo and bench hold a sidecar anyway.
//
// Below it are its parts that know no command: intake reads the files of other programs, screen draws, bench
// loads and measures, spawn runs a sidecar in a process of its own, scrape reads metrics, monitor holds what a
// sidecar publishes against what it published before, fleet follows many and anchors them in one line.
//
// Output goes to stdout and is the same on a terminal and in a pipe; progress and
// errors go to stderr. Large reads and large files stream.
package main
