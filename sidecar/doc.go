// Package sidecar is the third and the last station in the way of the data, and
// the house around the others: it takes connections from peercred and frames from
// wire, admits what they ask, hands it to the committer, and carries the answers,
// the roots and the metrics out again. It alone reads configuration, makes the
// home and its keys, and starts and stops everything.
//
//	peercred ─ conn, Cred ─▶ session ─ frames ─▶ admit ─ Request ─▶ committer
//	                            ▲                                      │
//	            socket ◀─ outbox ◀────────────── Complete ─────────────┤
//	            https  ◀─ /roots, /metrics ◀──── Head, CommitInfo ─────┘
//
// # A connection
//
// One goroutine reads and admits, one writes; reads that may be long have a
// goroutine each. The credentials come before a byte is read. Nothing is allowed
// before a valid HELLO, which has uds.handshake_timeout to come; a frame, once
// begun, has uds.frame_timeout to be complete. The token's caveats about the
// connection and the time are held against every request, those about entries
// against every entry.
//
// Keyring, revocation list and certificate are read again when they change and on
// SIGHUP; what cannot be read leaves what was read before in force. No connection
// is dropped for it: a token that was judged by other keys than those in force is
// judged again at the next request, and refused when it was revoked, when its key is
// gone, or when it has expired. Between two reloads that costs one atomic load.
//
// A fault of framing ends the connection, after an ERROR that says why: what
// follows cannot be told apart any more. A fault of a request is answered and the
// connection goes on. A peer that does not take its answers is cut off after
// uds.write_timeout; its commits stand.
//
// # Admission
//
// An APPEND is checked in place, and copied once: into records, each entry
// followed by the stamp of the token that allows it. Leaf hashes are computed
// here, in parallel across connections. At most concurrency.prevalidators
// sessions do so at a time, at most queues.ingress wait for their turn, at most
// uds.max_inflight requests of a connection are unanswered. What is admitted goes
// to the committer in the order of its connection and is answered, always.
//
// # Reads
//
// What a read tells is durable. Balances of one account and the look-up of a nonce
// go through the committer's queue like appends, so they see all that was sent
// before. A listing of all balances is taken from a checkpoint, which is made for
// it when the newest is older. Ranges of entries end at the published head.
//
// # Starting and stopping
//
// Start opens from the inside out: home and lock, store, recovery, disk watcher,
// HTTPS, and the socket last, so that whoever can connect can be served. Close
// goes the other way: the socket is gone first, new appends get `draining`, what
// was taken is committed and answered, a checkpoint is written, connections are
// told and closed, then HTTPS, the store and the lock.
//
// When the state of the log is unknown the process ends with status 70 and says
// nothing more to anyone; see package committer.
package sidecar
