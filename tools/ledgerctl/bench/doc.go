// Bench measures a sidecar under load. It takes a plan and the address of a sidecar, or starts one, makes and sends
// requests over its own connections, and hands back what it counted, held against the service levels.
//
//	plan ─▶ schedule ─▶ payloads ─▶ socket ─▶ tally ─▶ result ─▶ service levels
//
// Closed loop: each connection keeps so many requests under way. Open loop: requests are sent when they fall due,
// and latencies count from then, so that a stall counts against all that it delayed. The generator does without
// wire/client: what it costs would be taken from what is measured.
//
// Nothing is measured before the warm-up has ended, and everything that is answered is counted: the sequence numbers
// of all answers have to lie end to end between the sizes of the ledger before and after.
package bench
