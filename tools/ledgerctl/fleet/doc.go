// Package fleet follows many ledgers at once and anchors them in one line. It takes targets, the
// addresses and keys of sidecars, has package monitor hold each against what it published before,
// and hands out rows for a screen, events, metrics, and a signed checkpoint over the newest roots of all.
//
//	targets ─▶ member ─▶ monitor.Watcher ─▶ state, DIR/LOGID.checkpoint
//	             │ one for each ledger          │
//	             └──▶ rows, events, metrics     └─▶ tree of roots ─▶ Line, signed ─▶ Proof of an entry
//
// # Looking
//
// Every member is looked at once in an interval, at a moment of its own in it, so that the load is even. A
// look is given a quarter of the interval. One that fails is tried again after another quarter, and the second
// failure makes the member silent: so whoever falls silent right behind a look is named within 1¾ intervals. What a
// server refutes itself with is named by the look that sees it.
//
// # Bounds
//
//	members              membersMax
//	looks at once        Options.Parallel; the others wait, which counts in Figures as time without an answer
//	connections          one to each server, idle between looks
//	an answer            256 KiB: one root, a checkpoint, a proof
//	memory               a few KiB for each member
//	lines that are kept  linesKept in the state folder, the oldest go
//
// # The tree of roots
//
// A line anchors the newest proven root of every ledger. Its tree is one of RFC 9162 §2.1, with the
// hashes of package merkle, over one leaf for each ledger, in ascending order of (log id, origin, key). The bytes
// of a leaf, integers little-endian:
//
//	0    16  "ron-ledger fleet"
//	16   16  log id of the epoch in force
//	32   32  Ed25519 key of the ledger's checkpoints
//	64   8   size of its tree
//	72   32  root of its tree
//	104  1   hash of its tree: 1 blake3, 2 sha256
//	105  1   zero
//	106  2   length of the origin, 1 to 512
//	108  …   origin
//
// A record begins with its entry's size, which is below 0x6f72 ("ro"), and a leaf of this tree with these
// letters: so neither is ever taken for the other, though both are hashed in the same way.
//
// # The line
//
// A signed note (https://c2sp.org/signed-note) by a key of the fleet's own, over these lines:
//
//	ron-ledger fleet v1
//	NAME            of the fleet and of its key
//	hash HASH       of the tree of roots: blake3 or sha256
//	ledgers COUNT
//	root BASE64
//	time MS         Unix ms
//
// It is no checkpoint of a log: the next line is over other roots, and proves nothing of this one. What
// each ledger has had stays in it is proven by its own consistency, which the fleet has checked.
//
// # The proof
//
// From an entry to a line, a text:
//
//	ron-ledger fleet proof v1
//	line BASE64           the signed note
//	leaf BASE64
//	index INDEX           of the leaf, decimal
//	path HASH …           base64, inclusion of the leaf in the tree of roots, upwards
//	consistency HASH …    between the size of the receipt's checkpoint and that of the leaf, whichever is smaller first
//	                      (empty line)
//	RECEIPT               as ledgerctl receipt writes it, verbatim, with the record in it
//
// Both texts have one form: parse then marshal gives the same bytes.
package fleet
