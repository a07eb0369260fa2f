package sidecar

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/audit"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// Diagnosis is what is wrong with the ledger in a home, and where it could go on.
type Diagnosis struct {
	Home  string `json:"home"`
	Sound bool   `json:"sound"` // nothing is wrong with the log
	LogID string `json:"log_id"`
	Epoch uint64 `json:"epoch"`

	// LastGood is the sequence number up to which everything was verified, and Root the root there.
	LastGood uint64      `json:"last_good"`
	Root     merkle.Hash `json:"root"`
	LogEnd   uint64      `json:"log_end"` // the last sequence number that can be read
	// Known is the highest sequence number that is known to have been durable; HeadKnown says
	// whether the head file could tell.
	Known     uint64 `json:"known"`
	HeadKnown bool   `json:"head_known"`

	// LostFirst and LostLast are what goes with a loss that is accepted; zero where nothing does
	// that is known of.
	LostFirst uint64   `json:"lost_first,omitempty"`
	LostLast  uint64   `json:"lost_last,omitempty"`
	Why       string   `json:"why,omitempty"`   // what is wrong with the log
	Files     []string `json:"files,omitempty"` // in which damage was found
	State     string   `json:"state,omitempty"` // what is wrong with the derived state; a start makes it again
}

// ErrRecoverPruned is what Diagnose and AcceptLoss say of a home that has pruned bodies. The archive has
// the whole ledger, and what could be cut here could not be archived in a new epoch.
var ErrRecoverPruned = errors.New("its older entries are pruned (retention.keep), so that it cannot be verified by itself, and no epoch " +
	"is begun in it; nothing was changed. Restore the whole ledger from its archive into an empty folder: " +
	"ledgerctl restore --archive DIR --home NEW; ledgerctl verify --archive DIR says what is wrong here")

// RecoverOptions says what is looked at.
type RecoverOptions struct {
	Home     string
	Archive  string                  // of the log, where there is one: it may know more than the home
	Progress func(done, size uint64) // is called from time to time, where it is not nil
}

// Diagnose verifies all that lies in the home of a sidecar that has stopped, and changes nothing
// there.
func Diagnose(ctx context.Context, o RecoverOptions) (d Diagnosis, err error) {
	lock, err := lockStopped(o.Home)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return diagnose(ctx, &o)
}

// diagnose is Diagnose for who holds the lock of the home.
func diagnose(ctx context.Context, o *RecoverOptions) (d Diagnosis, err error) {
	home, progress := o.Home, o.Progress
	s, err := store.Open(store.Options{Dir: home, ReadOnly: true})
	if err != nil {
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, fs.ErrPermission) {
			return d, err
		}
		return d, fmt.Errorf("%w: the log cannot be opened at all, so that nothing of it can be verified: restore a backup", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	tail, err := s.Last()
	if err != nil {
		return d, err
	}
	told := func(done uint64) {
		if progress != nil {
			progress(done, tail.Size)
		}
	}
	report, found := audit.Verify(ctx, s, told)
	if errors.Is(found, audit.ErrPruned) {
		return d, fmt.Errorf("%s: %w", home, ErrRecoverPruned)
	}
	finding := new(audit.Finding)
	if errors.As(found, &finding) && finding.First == 0 && s.Head().Known {
		d.State = finding.Error() // of the log nothing is known yet
		report, found = audit.VerifyLog(ctx, s, told)
	}
	if found != nil && !errors.As(found, &finding) {
		return d, fmt.Errorf("verify %s: %w", home, found)
	}
	d.fill(home, s, tail, &report, found)
	return d, d.askArchive(ctx, s, o.Archive, report.LogID)
}

// askArchive holds the log against what was archived of it. What the archive knows beyond the log, or
// otherwise, is lost here and can be restored from there.
func (d *Diagnosis) askArchive(ctx context.Context, s *store.Store, dir string, logID [16]byte) error {
	if dir == "" {
		return nil
	}
	r, _, err := openArchived(ctx, dir, &logID, homeVerifier(d.Home))
	if err != nil {
		return fmt.Errorf("hold the log against its archive: %w", err)
	}
	head, found := r.Head(), ""
	switch {
	case head.Size > d.LastGood:
		d.Known = max(d.Known, head.Size)
		d.LostFirst, d.LostLast = d.LastGood+1, d.Known
		found = fmt.Sprintf("the archive %s holds entries up to %d: restore it (ledgerctl restore --archive)", dir, head.Size)
	case head.Size > 0:
		root, err := newProver(s).RootAt(head.Size)
		if err != nil {
			return fmt.Errorf("hold the log against its archive: %w", err)
		}
		if root != head.Root {
			found = fmt.Sprintf("the archive %s has root %v at size %d, the log %v: one of them is another log", dir, head.Root, head.Size, root)
		}
	}
	if d.Sound = d.Sound && found == ""; found != "" {
		d.Why = strings.TrimPrefix(d.Why+"; "+found, "; ")
	}
	return nil
}

// homeVerifier is the key that a home tells its readers; nil where it tells none.
func homeVerifier(home string) note.Verifier {
	line, err := os.ReadFile(filepath.Join(home, vkeyFile))
	if err != nil {
		return nil
	}
	key, err := note.NewVerifier(strings.TrimSpace(string(line)))
	if err != nil {
		return nil
	}
	return key
}

// fill puts together what was found.
func (d *Diagnosis) fill(home string, s *store.Store, tail store.Tail, report *audit.Report, found error) {
	head := s.Head()
	d.Home, d.LogID, d.Epoch = home, hex.EncodeToString(report.LogID[:]), report.Epoch
	d.LastGood, d.Root, d.LogEnd, d.HeadKnown = report.SoundSize, report.SoundRoot, tail.Size, head.Known
	d.Known, d.Files = max(head.Seq, tail.Size, s.Mark().Size), s.DamagedFiles() // a mark is right even where its state is of no use
	if damage := s.Damage(); damage != nil && found == nil {
		found = damage
	}
	d.Sound = found == nil
	if d.Known > d.LastGood {
		d.LostFirst, d.LostLast = d.LastGood+1, d.Known
		if d.Sound {
			d.Sound, found = false, fmt.Errorf("the log ends at %d, and the derived state is of size %d", d.LastGood, d.Known)
		}
	}
	if found != nil {
		d.Why = found.Error()
	}
}

// ErrNothingLost is what AcceptLoss says of a home whose log is sound.
var ErrNothingLost = errors.New("nothing is wrong with the log: there is no loss to accept, and no new epoch begins")

// AcceptLoss makes the ledger in a home go on behind sequence number last, which has to be the
// LastGood of its Diagnosis: the log is cut there where there is something behind it, the old log is
// kept beside it, at aside, and a new epoch begins whose first record names what is lost. Nothing is
// changed where it fails before the cut.
func AcceptLoss(ctx context.Context, o RecoverOptions, last uint64, reason string) (begun wire.Epoch, aside string, err error) {
	home := o.Home
	lock, err := lockStopped(home)
	if err != nil {
		return begun, "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	d, err := diagnose(ctx, &o)
	if err != nil {
		return begun, "", err
	}
	switch {
	case d.Sound:
		return begun, "", ErrNothingLost
	case last != d.LastGood:
		return begun, "", fmt.Errorf("the last good sequence number is %d, not %d: to go on there, say --accept-loss %d", d.LastGood, last, d.LastGood)
	}
	if d.LogEnd != d.LastGood || len(d.Files) > 0 {
		if aside, err = store.Cut(store.Options{Dir: home, Fatal: stopUnknown}, last); err != nil {
			return begun, "", err
		}
	}
	n := NewEpoch{Size: last, Reason: reason}
	if d.HeadKnown || d.Known > last {
		n.Known = d.Known
	}
	begun, err = beginEpoch(home, n)
	return begun, aside, err
}
