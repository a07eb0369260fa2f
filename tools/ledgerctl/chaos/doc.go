// Package chaos does evil to a sidecar and says what came of it. It takes from ledgerctl an attack, how long it lasts and a
// scratch folder, starts a sidecar of its own there, and hands back a report with a verdict.
//
//	spawn ─▶ sidecar ◀─ attack          figures: metrics before, at their furthest, after
//	            ▲                                          │
//	         writers ─▶ journals ─▶ Hold ◀─ entries, roots │─▶ Report: checks, metrics, verdict
//	                                verify ◀─ home, stopped│
//
// It only ever attacks the sidecar that it has started: nothing names another. That sidecar is
// configured by the attack alone, no variable of the environment reaches it, and its home is removed at the end.
//
// Throughout, four writers append and keep journals (package writers). The verdict holds when
//
//   - nothing that was acknowledged is lost, and nothing is there twice or was sent by nobody: every entry and
//     root that the sidecar has at the end, read over its socket, is held against the journals;
//   - the home, after a clean stop, passes what ledgerctl verify asks, at the size and the root that were read;
//   - the metrics that the alerts are about have moved as the attack has to move them;
//   - each time the attack let go, every writer had an answer to a new request within Options.Within; where the attack
//     goes on beside them, they had one amid it too.
//
// One attack a file. An attack returns when its time is over and leaves nothing of itself.
package chaos
