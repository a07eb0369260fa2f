package sidecar

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/store"
)

// RestoreOptions says what a restore makes of a copy of a ledger.
type RestoreOptions struct {
	Home     string
	Key      note.Verifier // that signed the copy; nil takes it unchecked
	NodeKey  string        // file with the node key to go on with; empty: that in the home, or a new one
	Progress func(done, size uint64)

	// SameEpoch goes on under the same log id. That takes evidence that nothing behind the copy was
	// acknowledged: Newest, the highest sequence number that anybody holds an answer for, or
	// OldHome, whose head file says it.
	SameEpoch bool
	Newest    uint64
	OldHome   string

	// Unverified takes the derived state of a snapshot as it is signed. Otherwise what was made is
	// verified before it counts, as Verify does: it takes some 100 bytes of memory for each entry.
	Unverified bool

	// Unarchived begins a new epoch on a snapshot of a pruned ledger, which cannot be archived.
	Unarchived bool
}

// RestoreReport is what came of a restore.
type RestoreReport struct {
	Size     uint64
	Root     merkle.Hash
	OldLogID [16]byte
	LogID    [16]byte // other than OldLogID unless SameEpoch
	Epoch    uint64
	// Kept is the first entry whose body the copy has. What is before it was pruned, so that the roots
	// were computed again and the derived state of those entries was taken as it is signed.
	Kept uint64
}

// copied is a copy of a ledger that can be restored.
type copied struct {
	signed merkle.Checkpoint
	note   []byte // signed by the node key
	logID  [16]byte
	kept   uint64   // first entry that has its body
	state  bool     // it has a derived state, which no replay has made
	term   heldTerm // of the archive, where it is one: in the same epoch the home goes on with it

	// fill makes the home of the copy in a folder, and everything above known where it was not.
	fill func(ctx context.Context, dir string) error
}

// restoreFolder is where a restore builds, in the home. While it is there without a meta file beside
// it, the restore was not completed.
const restoreFolder = ".restore"

// homeParts are what a restore puts into its place: meta last, which makes it a ledger.
var homeParts = []string{"log", "state", "head", storeMetaFile}

// restoreKeeps is what may lie in a folder into which a ledger is restored.
var restoreKeeps = []string{lockFile, keyringFile, revocationsFile, nodeKeyFile, certFile, certKeyFile, seenFile, "lost+found"}

// errInterrupted keeps a start from making a new ledger where a restore was under way.
var errInterrupted = errors.New("a restore into it was interrupted: run it again, or choose an empty folder")

// ErrRestorePruned is what a restore says of a snapshot of a pruned ledger that is to begin a new epoch.
var ErrRestorePruned = errors.New("were pruned and are not in the snapshot, and the archive of a new epoch begins with the first entry, " +
	"so the ledger could not be archived: restore its archive, which has them all (ledgerctl restore --archive); or go on in the " +
	"same epoch with the same archive.dir, where nothing is missing (--same-epoch); or, where the archive is lost, " +
	"take the ledger without one (--unarchived, and no archive.dir)")

// RestoreArchive makes a home from an archive, up to its last segment. It lies at a place: a folder, or
// s3://BUCKET/PREFIX as archive.url has it, with the key that the environment names. Every root is computed again and
// every entry judged again. The home is the ledger when this returns nil, and none before.
func RestoreArchive(ctx context.Context, place string, logID *[16]byte, o *RestoreOptions) (RestoreReport, error) {
	r, id, err := openArchived(ctx, place, logID, o.Key)
	if err != nil {
		return RestoreReport{}, fmt.Errorf("restore %s: %w", o.Home, err)
	}
	from := &copied{
		kept: 1, signed: merkle.Checkpoint{Origin: r.Head().Origin, Size: r.Head().Size, Root: r.Head().Root}, note: r.Last(), logID: id,
		term: heldTerm{term: r.Head().Term, sync: r.Head().Sync},
		fill: func(ctx context.Context, dir string) error {
			options := store.Options{Dir: dir, LogID: r.Genesis(), Hash: uint8(r.Hash())}
			return store.Import(options, o.watched(ctx, r.Commits(ctx, 1), r.Head().Size))
		},
	}
	if err := o.check(from); err != nil { // before the work
		return RestoreReport{}, fmt.Errorf("restore %s: %w", o.Home, err)
	}
	return restore(ctx, from, o)
}

// RestoreSnapshot makes a home from a snapshot. Every checksum is checked and every root computed
// again, and all that is derived from the entries, unless o.Unverified is set. The home is the ledger when this returns nil, and none before.
func RestoreSnapshot(ctx context.Context, file io.Reader, o *RestoreOptions) (RestoreReport, error) {
	from := &copied{state: true}
	from.fill = func(ctx context.Context, dir string) error {
		m, signed, err := unpackSnapshot(file, dir, o.Key)
		if err != nil {
			return err
		}
		if m.First > 1 && !o.SameEpoch && !o.Unarchived {
			return fmt.Errorf("entries before %d %w", m.First, ErrRestorePruned)
		}
		from.signed, from.note, from.kept = merkle.Checkpoint{Origin: m.Origin, Size: m.Size, Root: m.Root}, signed, m.First
		if _, from.logID, _, err = merkle.ParseOrigin(m.Origin); err != nil {
			return err
		}
		return from.checkRoots(ctx, dir, o)
	}
	return restore(ctx, from, o)
}

// checkRoots computes every root of an unpacked log again.
func (from *copied) checkRoots(ctx context.Context, dir string, o *RestoreOptions) (err error) {
	s, err := store.Open(store.Options{Dir: dir, ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	tail, err := s.Last()
	if err != nil {
		return err
	}
	// What was pruned ends with a whole block, so that the tiles have all that is needed of it.
	frontier, err := newProver(s).FrontierAt(max(tail.First, 1) - 1)
	if err != nil {
		return fmt.Errorf("compute the root at size %d: %w", tail.First-1, err)
	}
	kind := frontier.Kind()
	var leaves []merkle.Hash
	for c, err := range o.watched(ctx, s.Commits(max(tail.First, 1)), tail.Size) {
		if err != nil {
			return err
		}
		leaves = kind.AppendLeaves(leaves[:0], c.Records, c.Ends)
		frontier.AddAll(leaves)
		if root := frontier.Root(); root != merkle.Hash(c.Root) {
			return fmt.Errorf("entries %d to %d: the root of their commit is %x, the records give %v", c.First, c.Last(), c.Root, root)
		}
	}
	return from.ends(tail.Size, frontier.Root())
}

// watched yields the commits, tells of progress and ends with ctx.
func (o *RestoreOptions) watched(ctx context.Context, commits iter.Seq2[*store.Commit, error], size uint64) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		for c, err := range commits {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil && o.Progress != nil {
				o.Progress(c.Last(), size)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// openArchived opens the archive of a log at a place.
func openArchived(ctx context.Context, place string, logID *[16]byte, key note.Verifier) (r *archive.Reader, id [16]byte, err error) {
	objects, err := openArchive(place, "", nil)
	if err == nil {
		id, err = archivedLog(ctx, objects, logID, key)
	}
	if err == nil {
		r, err = archive.OpenReader(ctx, objects, id, key)
	}
	return r, id, err
}

// archivedLog returns which log of an archive is meant: the one that is named, that of the key, or
// the only one.
func archivedLog(ctx context.Context, objects archive.Objects, logID *[16]byte, key note.Verifier) (id [16]byte, err error) {
	if logID != nil {
		return *logID, nil
	}
	if key != nil {
		_, id, _, err := merkle.ParseOrigin(key.Name())
		return id, err
	}
	ids, err := archive.Logs(ctx, objects)
	if err != nil {
		return id, err
	}
	if len(ids) != 1 {
		var names []string
		for i := range ids {
			names = append(names, hex.EncodeToString(ids[i][:]))
		}
		return id, fmt.Errorf("%s holds %d logs %v: say which with --log", objects.Path(""), len(ids), names)
	}
	return ids[0], nil
}

func restore(ctx context.Context, from *copied, o *RestoreOptions) (report RestoreReport, err error) {
	h, err := emptyHome(o.Home, o.NodeKey, "")
	if err != nil {
		return report, fmt.Errorf("restore %s: %w", o.Home, err)
	}
	defer func() { err = errors.Join(err, h.close()) }()
	aside := h.path(restoreFolder)
	if report, err = build(ctx, h, aside, from, o); err != nil {
		return report, fmt.Errorf("restore %s: %w", o.Home, errors.Join(err, os.RemoveAll(aside)))
	}
	if err := h.putInPlace(aside); err != nil {
		return report, fmt.Errorf("restore %s: %w", o.Home, err)
	}
	return report, nil
}

// emptyHome takes a folder that holds no ledger, with its lock, and makes the keys that are missing.
// A keyring that lies elsewhere is not made.
func emptyHome(dir, nodeKey, keyring string) (*home, error) {
	if _, err := makeHome(dir); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, storeMetaFile)); err == nil {
		return nil, errors.New("there is a ledger: a restore is into an empty folder alone")
	}
	aside := filepath.Join(dir, restoreFolder)
	if _, err := os.Lstat(aside); err == nil { // of a restore that was interrupted: what lies here is its
		for _, part := range append(slices.Clone(homeParts), termFile, restoreFolder) {
			if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
				return nil, fmt.Errorf("remove what an interrupted restore left: %w", err)
			}
		}
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range names {
		name := entry.Name()
		if !slices.ContainsFunc(restoreKeeps, func(kept string) bool { return name == kept || name == besideName(kept) }) {
			return nil, fmt.Errorf("%s lies there: a restore is into a folder that is empty, but for keys and certificates", name)
		}
	}
	if nodeKey != "" {
		text, err := peercred.ReadPrivate(nodeKey, secretBytesMax)
		if err == nil {
			_, err = parseNodeKey(text)
		}
		if err == nil {
			err = writeFile(filepath.Join(dir, nodeKeyFile), text, 0o600)
		}
		clear(text)
		if err != nil {
			return nil, fmt.Errorf("take over --node-key: %w", err)
		}
	}
	return openHome(&Config{Profile: Macronode, Home: dir, Keys: KeysConfig{Keyring: keyring}})
}

// build makes the parts of a home in a folder of their own.
func build(ctx context.Context, h *home, dir string, from *copied, o *RestoreOptions) (report RestoreReport, err error) {
	if err := errors.Join(os.Mkdir(dir, 0o700), syncDir(h.dir)); err != nil { // which keeps a start away from the parts
		return report, err
	}
	if err := from.fill(ctx, dir); err != nil {
		return report, err
	}
	if err := errors.Join(o.check(from), o.checkNodeKey(h, from)); err != nil {
		return report, err
	}
	report = RestoreReport{Size: from.signed.Size, Root: from.signed.Root, OldLogID: from.logID, LogID: from.logID, Kept: from.kept}
	if o.SameEpoch {
		err = replay(ctx, store.Options{Dir: dir}, from, &report)
		if err == nil && from.term != (heldTerm{}) {
			err = h.holdTerm(from.term)
		}
	} else {
		err = replayToNewEpoch(store.Options{Dir: dir}, from, &report)
	}
	if err == nil && from.state && from.kept <= 1 && !o.Unverified {
		if _, err = Verify(ctx, dir, o.Progress); err != nil {
			err = fmt.Errorf("the copy is not a sound ledger: %w", err)
		}
	}
	return report, err
}

// replayToNewEpoch judges an imported log as a start does, and adds the record that begins a new
// epoch behind it.
func replayToNewEpoch(options store.Options, from *copied, report *RestoreReport) error {
	s, err := store.Open(options)
	if err != nil {
		return err
	}
	n := committer.NewEpoch{Size: from.signed.Size, TimeMs: time.Now().UnixMilli(), Reason: "restored from a copy"}
	rand.Read(n.LogID[:])
	begun, err := committer.BeginEpoch(s, committer.Options{Fatal: stopUnknown}, n)
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	report.LogID, report.Epoch = begun.LogID, begun.Number
	return from.ends(begun.Cut, begun.Root)
}

// ends asks that a log that was judged ends as the copy says.
func (from *copied) ends(size uint64, root merkle.Hash) error {
	if size != from.signed.Size || root != from.signed.Root {
		return fmt.Errorf("its entries give root %v at size %d, the copy is signed for %v at %d", root, size, from.signed.Root, from.signed.Size)
	}
	return nil
}

// replay makes the state of an imported log, as a start does, and holds its end against the copy.
func replay(ctx context.Context, options store.Options, from *copied, report *RestoreReport) error {
	s, err := store.Open(options)
	if err != nil {
		return err
	}
	began := time.Now()
	c, err := committer.Open(s, committer.Options{
		NowMs: func() int64 { return time.Now().UnixMilli() },
		NowNs: func() int64 { return int64(time.Since(began)) },
		Fatal: stopUnknown,
	})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	head, loss := c.Head(), c.Loss()
	report.Epoch = c.Epoch().Number
	if err := errors.Join(c.Close(ctx), s.Close()); err != nil {
		return err
	}
	if loss != nil {
		return fmt.Errorf("the copy is not a sound ledger: %w", loss)
	}
	return from.ends(head.Size, head.Root)
}

// putInPlace moves the parts into the home, meta last.
func (h *home) putInPlace(aside string) error {
	for _, part := range homeParts {
		if part == storeMetaFile {
			if err := syncDir(h.dir); err != nil {
				return err
			}
		}
		if err := os.Rename(filepath.Join(aside, part), h.path(part)); err != nil {
			return err
		}
	}
	if err := syncDir(h.dir); err != nil {
		return err
	}
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	return syncDir(h.dir)
}

// checkRestored refuses a home into which a restore was not completed.
func checkRestored(dir string) error {
	_, aside := os.Lstat(filepath.Join(dir, restoreFolder))
	_, meta := os.Lstat(filepath.Join(dir, storeMetaFile))
	if aside == nil && errors.Is(meta, fs.ErrNotExist) {
		return errInterrupted
	}
	return nil
}

// ArchiveHead is what an archive holds.
type ArchiveHead = archive.Head

// VerifyArchive reads the whole archive of a log and computes every root again. What is wrong with
// it is a *VerifyFinding.
func VerifyArchive(ctx context.Context, place string, logID *[16]byte, key note.Verifier, progress func(done, size uint64)) (ArchiveHead, error) {
	objects, err := openArchive(place, "", nil)
	if err != nil {
		return ArchiveHead{}, fmt.Errorf("verify: %w", err)
	}
	id, err := archivedLog(ctx, objects, logID, key)
	if err != nil {
		return ArchiveHead{}, fmt.Errorf("verify: %w", err)
	}
	r, err := archive.OpenReader(ctx, objects, id, key)
	if err == nil {
		err = r.Verify(ctx, progress)
	}
	if err == nil {
		err = verifyArchivedSnapshots(ctx, r, key)
	}
	if ctx.Err() != nil {
		return ArchiveHead{}, ctx.Err()
	}
	if err != nil {
		return ArchiveHead{}, &VerifyFinding{Err: err}
	}
	return r.Head(), nil
}
