// Package stream tells others of every commit, through NATS JetStream. It takes the commits that are
// published from the store, and hands a message for each to a subject, in order and at least once.
//
//	store.Commits ─▶ reader ─▶ messages ─▶ session ─▶ JetStream: subject, one message for each commit
//	                    ▲                     │
//	                    └── from where the stream is, asked of the stream itself
//
// It works beside the committer, as the archive does: it reads what is published and is never
// waited for. An outage is a lag, a metric and the next attempt.
//
// # A message
//
// JSON, one object:
//
//	{"log":"hex","seq":1001,"size":1017,"root":"hex","ts":1728794183999,"entries":[…]}
//
//	log      log id of the epoch in force
//	seq      sequence number of the first entry that the message is about
//	size     of the tree behind the commit, which is the sequence number of its last entry
//	root     of that tree
//	ts       time of the commit, Unix ms
//	entries  where stream.nats.entries asks for them: those from seq on, docs/PROTOCOL.md 9
//
// A message has the whole commit: seq to size. Only one whose entries are more than the server takes in
// a message is told in several, of the same size, root and ts: the next one's seq is behind the last entry. The message id
// (Nats-Msg-Id) is LOG-SEQ, by which the server drops what it has in its duplicate window.
//
// # Order
//
// A session is one connection. It begins by asking the stream for the last message of the subject, and goes on
// behind that. Its first message is taken by the server only if that message is still the last one
// (Nats-Expected-Last-Subject-Sequence), and each further one only if the one before it is
// (Nats-Expected-Last-Msg-Id). So many are on their way at once, and still: what the server did not take, it takes nothing
// behind; a message that arrives late, or twice, or from another publisher in between, is refused. After any
// failure the session ends, and the next one asks again. Where others publish in the same stream the second
// condition does not hold: then messages go one at a time, each under the first one.
//
// # Rules
//
//   - What is not published by the committer MUST NOT be told: it may still be taken back.
//   - The position is that of the stream, never of a file here.
//   - A stream that holds more than the log, or another root, is told nothing: that is an error for people.
//   - Memory is bounded by chunkBytes and one commit, whatever the lag.
package stream
