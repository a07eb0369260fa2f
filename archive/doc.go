// Package archive keeps a second copy of a ledger's log, elsewhere. It takes durable
// commits from the store, hands them to a place of objects as segments, immutable objects
// with a checksum, and hands them back, in order and checked, to whoever restores or
// verifies a ledger. The writer works beside the committer: it reads what is durable
// and is never waited for, unless who runs it chooses to.
//
//	store.Commits ─▶ Writer ─▶ segments, head ─▶ Objects ─▶ Reader ─▶ store.Import, audit
//	                                                └─────▶ Bodies ─▶ reads of pruned entries
//
// # The objects
//
// A place of archives, a directory (store.Objects) or a bucket (bucket.Bucket), has one folder
// for each log, named by its log id:
//
//	LOGID/head                                      what the archive holds, signed; replaced
//	LOGID/segment-00000000000000000001              the commits from that sequence number on
//	LOGID/segment-00000000000000004097              …
//	LOGID/segment-00000000000000004201.…0002        … of the second term
//	LOGID/snapshot-00000000000000004200.…0001       the index of a snapshot at that size, made in that term
//	LOGID/part-00000000000000004200.…0001.CLAIM.000001   a part of it
//
// Of the place it is asked that an object is there whole or not at all, that of two who create
// one name one fails, and that an object is replaced only by who has seen it as it is.
//
// # The chain, and terms
//
// Segments are a chain: the name of each is its place, which the one before it decides, and
// a place is taken once.
//
//	name(first segment) = segment-1
//	name(next of S)     = segment-(S.last+1), and .TERM behind it from the second term on
//
// Who takes a ledger over (TakeOver) ends the term in force with a fence, a segment without
// commits at the place where the writer before would have put its next one, and writes behind
// it under the next term. That writer then finds its place taken, by a higher term, and is
// fenced for good. What it had put there before is part of the chain, and the one that takes
// over has it. So at any place one of them has written, whatever either believes about time,
// and a request that arrives late finds its place taken. This needs no clock, no lease and no
// list that is up to date, nor the head: it follows from create-once alone.
//
//	… ─ segment-4097 ─ segment-4201 ─ fence: term 2, last 4242 ─ segment-4243.2 ─ …
//	                                  └ at segment-4243
//
// A fence may name a successor: the log id under which the ledger goes on where it begins a new
// epoch. Nothing of the old log follows then.
//
// # Several uploads at once
//
// A writer knows where a segment ends when it cuts it, so that it knows the place of the next one, and sends
// that as well, before the first has arrived: up to UploadsMax are on their way. The chain is what follows
// from its beginning, place by place, and never loses what it has: so a segment that arrives behind a gap is
// not of the chain, and becomes so when the gap is filled. The writer counts it then, and not before:
// archived is what is there together with all before it. What failed is sent again as it was, byte for byte,
// however often: in one term one writer puts each segment that it cuts at one place, or none.
//
//	… ─ segment-4097 ─ (segment-4201 has not arrived) ─ segment-4230 ─ segment-4243
//	                 ↑ the end of the chain; a fence goes here
//
// A run that ends, and the next one of the same home, could break that: the next cuts otherwise, and what the
// first had on its way arrives late, amid the new segments. Therefore a run that may follow one with several
// uploads takes over from it first: it puts a fence of its own at the end of the chain and writes in the next
// term. It keeps the claim of the fence before it sends it, and the term before it uses it, so that a run
// that ends in between knows the fence again (Claim, Hold). A run that follows one with a single upload sends
// one alone until that has arrived, for whatever the other had on its way is for the same place.
//
// So a place is behind a gap for ever only at the end of a term, and of one term fewer than UploadsMax are.
// By names: in a term behind which another has begun it is what begins behind the first place of that one; in
// the last term it is what does not follow, among the last UploadsMax-1 names. Readers go through the last
// places by what the segments say, and take the names before for the chain, as they always did. One that
// knows nothing of gaps finds that a segment does not follow, and refuses the archive.
//
// Why nothing that is acknowledged is missing from what a take-over has, in sync: a segment is acknowledged
// when it and all before it are there, so it is of the chain, for ever. A fence is put at the end of a chain,
// where no object is. What is of the chain of a term then is before the fence, and behind the fence nothing
// of the old term is: the next place has another name. The old writer meets the fence at the first place that
// it cannot fill, and what it has behind that place it never counts. And why no two writers are in one term:
// a term begins with a fence, and of two fences at one place one is there.
//
// # A segment
//
// One or more whole commits, or a fence, without. Integers are little-endian.
//
//	0    8   "RLGSEG02"
//	8    16  log id in force
//	24   8   sequence number of the first record
//	32   8   of the last; of a fence, that before the first
//	40   32  root of the tree before the segment, of first−1 records
//	72   32  root at its end
//	104  8   time of the last commit, Unix ms
//	112  8   length of the commits, raw; at most 256 MiB
//	120  4   number of commits; 0: a fence
//	124  1   hash of the tree: 1 blake3, 2 sha256
//	125  1   zero
//	126  2   length of the checkpoint
//	128  16  log id of the ledger's first epoch
//	144  8   term in force behind it: of a fence, the one that it begins
//	152  16  of a fence: log id under which the ledger goes on; zero: the same
//	168  16  of a fence: drawn at random by who made it: two that take over at once make two fences
//	184  …   checkpoint of the root at its end: a signed note, docs/PROTOCOL.md
//	…    …   the commits, as one zstd frame
//	−32  32  BLAKE3 of all bytes before
//
// "RLGSEG01" has nothing from 144 to 184: the checkpoint is at 144, and the term is the first.
// A commit, in it:
//
//	0   4   number of records
//	4   4   number of atomic requests
//	8   4   length of the records
//	12  4   zero
//	16  8   time of the commit, Unix ms
//	24  32  root
//	56  …   requests, 24 bytes each: u32 first record, from 0 · u32 records · idem_id
//	…   …   records back to back: entry (its first u16 is its size) · 24-byte stamp
//
// # The head
//
// A signed note (https://c2sp.org/signed-note) by the key of the ledger's checkpoints,
// named by the origin, over these lines:
//
//	ron-ledger archive v2
//	ORIGIN
//	term TERM            in force
//	mode MODE            sync: nothing is acknowledged that is not archived; or async
//	size SIZE
//	root ROOT            base64
//	time MS              of the last commit, Unix ms
//	segments COUNT       and fences
//	bytes COUNT          of all segments, as they are stored
//	last FIRST BLAKE3 TERM   of the last segment: first sequence number, checksum (hex), term in its name
//
// "ron-ledger archive v1" has no term in either line: it is the first.
//
// The head is replaced behind the segments, at most 64 of them later, where it is what its
// writer has seen. Where it is lost or older than the last segment, the
// segments tell the same: each carries a signed checkpoint. A writer that starts takes
// what it finds behind the head over, once it has compared it with the log.
//
// # A snapshot
//
// Where to begin instead of at the first segment: the file of ledgerctl snapshot, cut into parts of 16 MiB, and
// an index, which is put when all parts are there; without it they are nothing. The index is a signed note
// like the head, over these lines:
//
//	ron-ledger archived snapshot v1
//	ORIGIN
//	term TERM            in which it was made
//	size SIZE
//	root ROOT            base64
//	bytes BYTES          of all parts
//	parts COUNT CLAIM    CLAIM: 8 bytes, hex, drawn for each attempt
//	BYTES BLAKE3         of each part
//
// It counts where the segments have its root at its size, in that term or one before. No segment goes because of it:
// they are the log, and what a snapshot cannot give they can.
//
// # Rules
//
//   - A writer MUST NOT add a segment unless its first record follows the last one that
//     is archived, and the root there is that of the log; it computes every root again
//     from the records before it ships them.
//   - A writer MUST NOT count a segment as archived before all in front of it are there.
//   - A writer MUST NOT send anything but the same bytes to a place that it has sent something to, nor more than UploadsMax
//     segments at once, and but one in a term in which a run before may have sent something that has not arrived.
//   - A run MUST NOT write in a term in which one before it has sent several at once.
//   - A writer MUST NOT replace a segment. What does not agree with the log is an error
//     that says which object, and nothing more is shipped.
//   - A writer that finds a higher term than its own MUST NOT ship anything again.
//   - Two writers MUST NOT share a term: it is the one's that put its fence, or, of the first,
//     the one's that began the archive. A home is one writer, over all of its runs.
//   - Bodies hand out no record that does not hash to the leaf that the ledger has kept of it, or has
//     another time than its commit.
//   - A writer MUST NOT put the index of a snapshot before its parts and the segments up to its size are there.
//   - A reader hands out no commit of a segment whose checksum, place or root before
//     and after does not fit.
package archive
