// Package wire is the second station of an entry: it takes the bytes that a
// session or a client has read from a socket, hands frames, messages and entries
// to them in place, and makes the bytes that go the other way. It does no I/O,
// knows no ledger and keeps no state but a FrameBuffer's. This comment specifies
// the bytes; docs/PROTOCOL.md tells them, with the conversation around them, to
// someone who writes a client in another language.
//
// All integers are little-endian. Reserved bytes are zero, and a reader refuses
// others. Within a message the fixed part comes first, then the strings, whose
// lengths all stand before them. A reader accepts exactly what a writer can make:
// decode then encode gives the same bytes.
//
// # Frame
//
//	0              4      5       6     8               16
//	├─ length u32 ─┼ type ┼ flags ┼ 0 0 ┼─ request u64 ─┼─ payload ─ …
//
// length is that of the payload as it is sent, at most max_frame (1 MiB unless
// WELCOME says otherwise): it is checked before memory is taken. The flags are
//
//	bit 0  compressed: the payload is the raw length u32 and an S2 block
//	bit 1  more: further frames answer the same request; only in answers
//
// A raw length above max_frame, or above decompress_ratio (10) times the length
// of its block, is refused before a byte is decompressed. An unknown type is
// answered with ERROR malformed and passed over; an unknown flag ends the
// connection. See FrameType for the types.
//
// # Entry
//
// An entry has one encoding, on the wire, in the log and under the leaf hash.
//
//	0        2     3      4      5      6        8        16         24         32
//	├ size u16 ┼ 1 ┼ kind ┼ alen ┼ clen ┼ memo u16 ┼─ ts i64 ─┼────── nonce ──────┤
//	32                  48                  64          72
//	├──── amount u128 ────┼─────── ref ───────┼── asset ──┼─ account counterparty memo 0… ┤
//
// size is that of the whole entry, a multiple of 8 from 80 to 2048, and follows
// from the lengths; alen is 1..128, clen 1..128 where the kind has a counterparty
// and else 0, memo 0..1024. Account names are of `A-Z a-z 0-9 : / - _ . @`; an
// asset is of `A-Z 0-9 . -`, zero padded, all zero the unnamed unit. amount is
// greater than 0. ref is zero unless the kind has one. The padding is zero.
//
// Fields are checked in the order size, version, kind, lengths, amount, ref,
// asset, size against the lengths, names, padding, and the first fault is told.
//
// A record is an entry and the stamp behind it: capability id (16 bytes) and key
// id (8 bytes) of the token that authorised it.
//
// # Messages
//
// Each line is a payload; `name[n]` is a string of n bytes, and n stands where
// `#name` does.
//
//	HELLO     "RLGR" min u16, max u16, #token u16, #client u8, 0 | token client
//	WELCOME   version u16, #server u8, #hash u8, #profile u8, rights u8, #key u16, #token u16, 0 0,
//	          max_frame u32, max_inflight u32, max_entries u32, log id [16], epoch u64, head
//	          | server hash profile key token, rights × (u16 and as many bytes)
//	AUTH      #token u16, 0 0 | token
//	OK        nothing
//	APPEND    flags u32, count u32, idem_id [16] | count entries
//	APPENDED  first u64, last u64, size u64, root [32], accepted u32, results u32, balances u32
//	          | results × result, balances × balance
//	ROOTS     since u64, limit u32, wait_ms u32
//	 answer   next u64, count u32, #checkpoint u32 | count × head, checkpoint
//	ENTRIES   flags u32, #account u8, 0 0 0, from u64, to u64, nonce [16] | account
//	 answer   size u64, oldest u64, next u64, count u32, 0 0 0 0 | count × (seq u64, time i64, record)
//	ACCOUNT   flags u32, limit u32, asset [8], #name u8, #prefix u8, 0 0 0 0 0 0 | name prefix
//	 answer   size u64, root [32], flags u32, count u32 | count × balance
//	PROVE     flags u32, #account u8, 0 0 0, from u64, size u64, nonce [16] | account
//	 answer   flags u32, hashes u16, #record u16, from u64, size u64, root [32], #checkpoint u32, 0 0 0 0
//	          | hashes × [32], record, checkpoint
//	WATCH     from u64
//	 answer   first u64, head
//	STATUS    nothing
//	 answer   a JSON object
//	ERROR     reason u8, 0, #detail u16, retry_after_ms u32, offset u32 | detail
//
//	head      size u64, root [32], time i64
//	result    index u32, outcome u8, reason u8, #detail u16, offset u32, seq u64 | detail
//	balance   #account u8, asset [8], available u128, held u128 | account
//
// SNAPSHOT and ADMIN have their numbers and no payload yet: a server answers them as
// it answers an unknown type.
//
// # Refusing
//
// Whatever is refused is refused with a Fault: a Reason, whose numbers are frozen,
// the offset of the offending byte and a constant text, so that refusing costs
// nothing. A reader of answers takes reasons that it does not know, since new ones
// may be added, and nothing else that it does not know.
//
// # JSON
//
// AppendJSON and ParseJSONEntry are the form of an entry for people: one object a
// line, strict, and what is printed is read back.
package wire
