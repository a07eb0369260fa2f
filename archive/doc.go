// Package archive keeps a second copy of a ledger's log, elsewhere. It takes durable
// commits from the store, hands them to a directory as segments, immutable objects
// with a checksum, and hands them back, in order and checked, to whoever restores or
// verifies a ledger. The writer works beside the committer: it reads what is durable
// and is never waited for.
//
//	store.Commits ─▶ Writer ─▶ segments, head ─▶ directory ─▶ Reader ─▶ store.Import, audit
//
// # The objects
//
// An archive is a directory with one folder for each log, named by its log id:
//
//	DIR/LOGID/head                           what the archive holds, signed; replaced
//	DIR/LOGID/segment-00000000000000000001   the commits from that sequence number on
//	DIR/LOGID/segment-00000000000000004097   …
//
// A segment is named by its first sequence number alone, so that two writers cannot both
// add one behind the same end: the second finds an object of that name with other content
// and stops. Nothing else is asked of the directory than that an object that is
// created or replaced appears whole, which any object store does as well.
//
// # A segment
//
// One or more whole commits. Integers are little-endian.
//
//	0    8   "RLGSEG01"
//	8    16  log id in force
//	24   8   sequence number of the first record
//	32   8   of the last
//	40   32  root of the tree before the segment, of first−1 records
//	72   32  root at its end
//	104  8   time of the last commit, Unix ms
//	112  8   length of the commits, raw; at most 256 MiB
//	120  4   number of commits
//	124  1   hash of the tree: 1 blake3, 2 sha256
//	125  1   zero
//	126  2   length of the checkpoint
//	128  16  log id of the ledger's first epoch
//	144  …   checkpoint of the root at its end: a signed note, docs/PROTOCOL.md
//	…    …   the commits, as one zstd frame
//	−32  32  BLAKE3 of all bytes before
//
// and a commit, in it:
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
//	ron-ledger archive v1
//	ORIGIN
//	size SIZE
//	root ROOT            base64
//	time MS              of the last commit, Unix ms
//	segments COUNT
//	bytes COUNT          of all segments, as they are stored
//	last FIRST BLAKE3    first sequence number and checksum (hex) of the last segment
//
// It is replaced behind each segment. Where it is lost or older than the last segment, the
// segments tell the same: each carries a signed checkpoint. A writer that starts takes
// what it finds behind the head over, once it has compared it with the log.
//
// # Rules
//
//   - A writer MUST NOT add a segment unless its first record follows the last one that
//     is archived, and the root there is that of the log; it computes every root again
//     from the records before it ships them.
//   - A writer MUST NOT replace a segment. What does not agree with the log is an error
//     that says which object, and nothing more is shipped.
//   - A reader hands out no commit of a segment whose checksum, place or root before
//     and after does not fit.
package archive
