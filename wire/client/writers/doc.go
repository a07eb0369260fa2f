// Package writers is a load that keeps account. It takes a way to connect, appends entries of its own through package
// client while the ledger is killed, starved and held under it, and hands out journals: what was sent, and what each
// acknowledgement said.
//
//	Load ─▶ writer ─▶ client ─▶ ledger      Log ◀─ what the ledger has, read by the caller
//	          └─▶ journal ──────▶ Hold ◀──────┘
//
// What has no answer is sent again, the same bytes, over the next connection. [Hold] then compares a [Log], every entry
// and root that a ledger has, with the journals: what was acknowledged is there at its number, byte by byte, under the
// root that was named; what was not is there whole or not at all where it is atomic; nothing is there twice; nothing is there
// that nobody sent. How the log is read and audited is the caller's.
package writers
