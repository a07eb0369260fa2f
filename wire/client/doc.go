// Package client speaks the protocol of package wire from the application's side.
// It takes entries from the application, writes them into frames on one
// Unix-domain connection, and hands back what became of them.
//
//	Batch ─▶ Submit ─▶ queue of bytes ─▶ writer ─▶ socket
//	Pending ◀─ by request id ◀───────── reader ◀─ socket
//
// # Appending
//
// A [Batch] holds encoded entries. [Client.Submit] queues it and returns a
// [Pending], so that many requests are under way at once; [Client.Append] waits
// for the answer. Requests of one connection are committed in the order in which
// they were submitted. An answer means: durable, and covered by the root that it
// names.
//
// An append that got no answer may or may not have been booked. That is an error
// of its own, [OutcomeUnknownError], which carries the batch. Sending the same
// entries again is always safe, since account and nonce are the identity of an
// entry: what was booked before answers as a duplicate with its first sequence
// number. [Client.AppendRetry] does so; [Client.Find] looks an entry up instead.
// An append that is known not to have reached the server fails with
// [ErrDisconnected], one that the server refused as a whole with [ReasonError]. A
// batch whose outcome is unknown is not sent to another ledger: that is
// [ErrLedgerReplaced].
//
// A [Batcher] takes single entries from any number of goroutines and does all this for
// them; each has a [Future].
//
// # Who is who
//
// The token comes from Options.TokenFile. It is read at every connect and again when
// the server refuses the token of a live connection, so a token is exchanged by
// replacing the file. [RequireUID] asks the operating system who runs the server
// before anything is sent to it.
//
// # When the connection breaks
//
// Requests under way fail. The next request dials again by itself, unless the
// break left appends of unknown outcome: later appends could then overtake them,
// so appends fail with [ErrDisconnected] until [Client.Reconnect] says that the
// application has taken notice. AppendRetry calls it.
//
// # Reading
//
// Short reads share the connection. [Client.Entries], [Client.Accounts] and
// [Client.Watch] have one of their own for as long as their loop runs: a reader
// that is slow then slows down nothing but itself, and leaving the loop ends the
// work of the server too.
//
// # Goroutines and memory
//
// A connected client has two goroutines, a reader and a writer; Close waits for
// both. Bytes that wait to be written are bounded by queueBytes and one batch,
// requests without an answer by what the server allows. A request costs a few
// allocations, an entry none.
package client
