package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/committer/audit"
	"github.com/rustyonions/ron-ledger/store"
)

// VerifyReport is what a verification counted.
type VerifyReport = audit.Report

// VerifyFinding is what a verification found: the ledger is not what it says.
type VerifyFinding = audit.Finding

// Verify holds the ledger of a home against its own bytes, as package audit specifies:
// as it is when Verify begins, while a sidecar may go on writing it. It changes
// nothing in the home, and takes no lock there. What is wrong with the
// ledger is a *VerifyFinding; other errors say that it could not be told. progress,
// where it is not nil, is called from time to time.
func Verify(ctx context.Context, home string, progress func(done, size uint64)) (report VerifyReport, err error) {
	return verify(ctx, home, nil, progress)
}

// ErrVerifyPruned is what Verify says of a ledger whose older entries are in its archive alone.
var ErrVerifyPruned = audit.ErrPruned

// VerifyWithArchive is Verify for a ledger that has pruned bodies: those it reads from the archive that a names,
// with the signatures checked by key, or unchecked where it is nil.
func VerifyWithArchive(ctx context.Context, home string, a *ArchiveConfig, key note.Verifier, progress func(done, size uint64)) (VerifyReport, error) {
	id, err := LogIDOf(home)
	if err != nil {
		return VerifyReport{}, fmt.Errorf("verify: %w", err)
	}
	objects, err := openArchive(a.place(), a.Credentials, nil)
	if err != nil {
		return VerifyReport{}, fmt.Errorf("verify: %w", err)
	}
	r, err := archive.OpenReader(ctx, objects, id, key)
	if errors.Is(unread(err), audit.ErrUnread) {
		return VerifyReport{}, fmt.Errorf("verify: %w", err)
	}
	if err != nil {
		return VerifyReport{}, &VerifyFinding{Err: err}
	}
	return verify(ctx, home, olderOf(ctx, r), progress)
}

// olderOf returns what an archive has for package audit.
func olderOf(ctx context.Context, r *archive.Reader) *audit.Older {
	return &audit.Older{
		Commits: func(from uint64) iter.Seq2[*store.Commit, error] {
			return func(yield func(*store.Commit, error) bool) {
				for c, err := range r.Commits(ctx, from) {
					if !yield(c, unread(err)) {
						return
					}
				}
			}
		},
		Record: func(seq uint64, dst []byte) ([]byte, error) {
			record, err := r.Record(ctx, seq, dst)
			return record, unread(err)
		},
	}
}

// unread marks what an archive has not answered.
func unread(err error) error {
	if unavailable := new(archive.UnavailableError); errors.As(err, &unavailable) {
		return fmt.Errorf("%w: %w", audit.ErrUnread, err)
	}
	return err
}

func verify(ctx context.Context, home string, older *audit.Older, progress func(done, size uint64)) (report VerifyReport, err error) {
	s, frozen, err := store.OpenFrozen(store.Options{Dir: home})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return report, fmt.Errorf("verify: %w", err)
	}
	if err != nil {
		return report, &VerifyFinding{Err: err}
	}
	defer func() { err = errors.Join(err, s.Close(), frozen.Close()) }()
	tail, err := s.Last()
	if err != nil {
		return report, fmt.Errorf("verify %s: %w", home, err)
	}
	report, err = audit.VerifyWith(ctx, s, older, func(done uint64) {
		if progress != nil {
			progress(done, tail.Size)
		}
	})
	if err != nil {
		err = fmt.Errorf("verify %s: %w", home, err)
	}
	return report, err
}
