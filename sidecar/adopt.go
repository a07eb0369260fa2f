package sidecar

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/store"
)

// adoption makes an empty home the ledger that lies in an archive, and takes it over from whoever
// wrote there: archive.adopt.
//
// The bulk of the log is imported and judged while the old writer may go on. Then its term is ended,
// what it has shipped meanwhile is added, and the home is put in its place with the new term. Where
// the old writer acknowledged nothing that is not archived, the log goes on; otherwise it is a
// restore, with a new epoch.
type adoption struct {
	config  *Config
	log     *zap.Logger
	objects archive.Objects
	home    *home
	key     ed25519.PrivateKey
	reader  *archive.Reader
	signed  note.Verifier // by the node key
	from    *copied
	pruned  bool // what is in the home begins behind the first entry
}

// adopt does nothing where the home has a ledger already: that one goes on, or finds that it was
// taken over.
func adopt(ctx context.Context, c *Config, log *zap.Logger) (err error) {
	if c.Archive.Adopt == "" || c.Profile != Macronode {
		return nil
	}
	if _, err := os.Lstat(filepath.Join(c.Home, storeMetaFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a := &adoption{config: c, log: log.Named("adopt")}
	if err := a.run(ctx); err != nil {
		return fmt.Errorf("adopt the ledger in %s into %s: %w", c.Archive.place(), c.Home, err)
	}
	return nil
}

func (a *adoption) run(ctx context.Context) (err error) {
	if err := a.bringKeys(); err != nil { // before any is made
		return err
	}
	if a.objects, err = openArchive(a.config.Archive.place(), a.config.Archive.Credentials, nil); err != nil {
		return err
	}
	if a.home, err = emptyHome(a.config.Home, "", a.config.Keys.Keyring); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.home.close()) }()
	if a.key, err = a.nodeKey(); err != nil {
		return err
	}
	if err := a.find(ctx); err != nil {
		return err
	}
	aside := a.home.path(restoreFolder)
	if err := a.build(ctx, aside); err != nil {
		return errors.Join(err, os.RemoveAll(aside))
	}
	return a.home.putInPlace(aside)
}

// bringKeys sees to it that the home has the keys that the ledger goes on with: they are in no archive.
// Those that it lacks are copied from the folder of keys.adopt.
func (a *adoption) bringKeys() error {
	if _, err := makeHome(a.config.Home); err != nil {
		return err
	}
	keys := &a.config.Keys
	for _, key := range []struct {
		name, what string
		needed     bool
	}{
		{nodeKeyFile, "the node key, with which the ledger was signed", true},
		{keyringFile, "the keyring, by which tokens are checked", keys.Keyring == ""},
		{revocationsFile, "", false},
	} {
		path := filepath.Join(a.config.Home, key.name)
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		var text []byte
		err := fs.ErrNotExist
		if keys.Adopt != "" {
			text, err = peercred.ReadMounted(filepath.Join(keys.Adopt, key.name), secretBytesMax)
		}
		if errors.Is(err, fs.ErrNotExist) {
			if key.needed {
				return fmt.Errorf("%s is needed: put it into the home as %s, or into the folder that keys.adopt names", key.what, key.name)
			}
			continue
		}
		if err == nil {
			err = writeFile(path, text, 0o600)
		}
		clear(text)
		if err != nil {
			return fmt.Errorf("bring %s into the home: %w", key.name, err)
		}
	}
	return nil
}

func (a *adoption) nodeKey() (ed25519.PrivateKey, error) {
	text, err := peercred.ReadPrivate(a.home.path(nodeKeyFile), secretBytesMax)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	return parseNodeKey(text)
}

// find opens the log that is meant: that of accumulator.log_id or the only one, and from there the
// one under which the newest epoch goes on.
func (a *adoption) find(ctx context.Context) error {
	ids, err := archive.Logs(ctx, a.objects)
	if err != nil {
		return err
	}
	logs, succeeded := map[[16]byte]*archive.Reader{}, map[[16]byte]bool{}
	for _, id := range ids {
		r, err := archive.OpenReader(ctx, a.objects, id, nil)
		if errors.Is(err, archive.ErrNothing) { // one that was never begun is none
			continue
		}
		if err != nil {
			return err
		}
		logs[id] = r
	}
	for id, r := range logs {
		if _, there := logs[r.Successor()]; there {
			succeeded[id] = true
		}
	}
	id, err := a.config.logID()
	if err != nil {
		return err
	}
	if id != [16]byte{} {
		for succeeded[id] {
			id = logs[id].Successor()
		}
		if logs[id] == nil {
			return fmt.Errorf("there is no log %x (accumulator.log_id); to begin a new ledger, start once without archive.adopt", id)
		}
		return a.take(ctx, id, logs[id])
	}
	var newest []string
	for candidate := range logs {
		if !succeeded[candidate] {
			id = candidate
			newest = append(newest, hex.EncodeToString(candidate[:]))
		}
	}
	if len(newest) != 1 {
		return fmt.Errorf("there are %d logs that none goes on from, %v: say which with accumulator.log_id; to begin a new ledger, start once without archive.adopt", len(newest), newest)
	}
	return a.take(ctx, id, logs[id])
}

// take opens the log with its signatures checked by the node key.
func (a *adoption) take(ctx context.Context, id [16]byte, unchecked *archive.Reader) error {
	origin := merkle.Origin(a.config.Name, id, unchecked.Hash())
	var err error
	if a.signed, err = merkle.NewVerifier(origin, a.key.Public().(ed25519.PublicKey)); err != nil {
		return err
	}
	if a.reader, err = archive.OpenReader(ctx, a.objects, id, a.signed); err != nil {
		return fmt.Errorf("the log is not one of this name (%s) and node key: %w", a.config.Name, err)
	}
	a.from = &copied{logID: id, kept: 1, note: a.reader.Last()}
	a.settle()
	return nil
}

// settle takes the end of the archive as what the home has to hold.
func (a *adoption) settle() {
	head := a.reader.Head()
	a.from.signed = merkle.Checkpoint{Origin: head.Origin, Size: head.Size, Root: head.Root}
}

// build makes the parts of the home in a folder of their own.
func (a *adoption) build(ctx context.Context, dir string) error {
	if err := errors.Join(os.Mkdir(dir, 0o700), syncDir(a.home.dir)); err != nil { // which keeps a start away from the parts
		return err
	}
	began, size := time.Now(), a.from.signed.Size
	a.log.Info("restoring the ledger", zap.String("log_id", hex.EncodeToString(a.from.logID[:])), zap.Uint64("size", size))
	if err := a.bring(ctx, dir, size); err != nil {
		return err
	}
	report := RestoreReport{}
	if err := replay(ctx, store.Options{Dir: dir}, a.from, &report); err != nil {
		return err
	}
	signer, err := merkle.NewSigner(a.from.signed.Origin, a.key)
	if err != nil {
		return err
	}
	term, successor, err := a.takeOver(ctx, signer)
	if err == nil && successor != [16]byte{} && a.pruned {
		err = errors.New("the old writer has left archive.mode = sync meanwhile, and a new epoch cannot begin on a pruned snapshot: start again")
	}
	if err != nil {
		return err
	}
	a.settle()
	if err := a.addTail(ctx, dir, size, &report); err != nil {
		return err
	}
	if successor == [16]byte{} {
		a.log.Info("taken over: nothing that was acknowledged is missing, and the log goes on",
			zap.Uint64("size", a.from.signed.Size), zap.Stringer("root", a.from.signed.Root), zap.Uint64("term", term),
			zap.Uint64("epoch", report.Epoch), zap.Duration("took", time.Since(began)))
		return a.home.holdTerm(heldTerm{term: term, sync: true, unused: true})
	}
	return a.beginEpoch(dir, successor, began)
}

// takeOverAttempts is how often the end of a term is tried: whether an attempt that fails has ended
// it cannot be told, and one more does no harm.
const takeOverAttempts = 5

// takeOver ends the term. Where the old writer may have acknowledged what it had not archived, the ledger goes on under
// the log id successor.
func (a *adoption) takeOver(ctx context.Context, signer note.Signer) (term uint64, successor [16]byte, err error) {
	for range takeOverAttempts {
		if successor == [16]byte{} && !a.reader.Head().Sync {
			rand.Read(successor[:])
		}
		term, err = a.reader.TakeOver(ctx, signer, successor)
		switch {
		case err == nil && (successor != [16]byte{} || a.reader.Head().Sync):
			return term, successor, nil
		case err == nil:
			err = errors.New("its writer has left archive.mode = sync meanwhile")
		}
		a.log.Warn("the archive could not be taken over: again", zap.Error(err))
		if err := waitFor(ctx, jittered(syncRetry)); err != nil {
			return 0, successor, err
		}
	}
	return 0, successor, err
}

// addTail adds what the old writer has shipped since the import, and judges it.
func (a *adoption) addTail(ctx context.Context, dir string, size uint64, report *RestoreReport) (err error) {
	if a.from.signed.Size == size {
		return a.from.ends(size, a.reader.Head().Root)
	}
	if err := store.Extend(store.Options{Dir: dir}, a.reader.Commits(ctx, size+1)); err != nil {
		return err
	}
	return replay(ctx, store.Options{Dir: dir}, a.from, report)
}

// beginEpoch goes on under a new log id, and says what may be missing.
func (a *adoption) beginEpoch(dir string, logID [16]byte, began time.Time) error {
	s, err := store.Open(store.Options{Dir: dir, Fatal: stopUnknown})
	if err != nil {
		return err
	}
	head := a.reader.Head()
	begun, err := committer.BeginEpoch(s, committer.Options{Fatal: stopUnknown}, committer.NewEpoch{
		LogID: logID, Size: head.Size, TimeMs: time.Now().UnixMilli(), Reason: "taken over from an archive that may lack the end",
	})
	if err = errors.Join(err, s.Close()); err != nil {
		return err
	}
	a.log.Warn("taken over in a NEW EPOCH: the old writer acknowledged before it archived (archive.mode = async), "+
		"so that what it acknowledged behind the end of the archive is missing here",
		zap.Uint64("may_be_missing_from", head.Size+1), zap.Time("archived_until", time.UnixMilli(head.TimeMs).UTC()),
		zap.String("old_log_id", hex.EncodeToString(a.from.logID[:])), zap.String("log_id", hex.EncodeToString(begun.LogID[:])),
		zap.Uint64("epoch", begun.Number), zap.Uint64("size", head.Size+1), zap.Duration("took", time.Since(began)))
	return a.home.holdTerm(heldTerm{term: 1})
}
