// Package monitor holds what a sidecar publishes against what it published before. It takes the
// answers of GET /roots from one sidecar, over HTTPS, and hands out checkpoints that are proven to
// go on from the ones before, or an Alarm.
//
//	/roots ─▶ Get ─▶ Watcher ─▶ Known, the newest checkpoint that is proven
//	                    └─────▶ *Alarm, with the signed note that is the evidence
//
// ledgerctl monitor follows one ledger with it, and ledgerctl fleet many.
//
// # Rules
//
//   - Known is signed by the ledger's key, its size never falls, and every one is the beginning
//     of the next. The first is taken on the signature alone.
//   - What is taken is kept first: Save is called before Known changes.
//   - An *Alarm says that the server refutes itself: a fork, a rollback, a proof that is withheld, a
//     listing that would mislead, a checkpoint of somebody else. Any other error says that it could not
//     be asked.
//   - A ledger that was restored goes on in a new epoch, under another log id and the same key.
//     That is taken where everything that was seen is still there.
//   - No answer is read beyond AnswerMax bytes, and none is waited for beyond Timeout.
package monitor
