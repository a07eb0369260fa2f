package store

import (
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"
)

// importBatchBytes is how much Import collects before it hands it to the log.
const importBatchBytes = 4 << 20

// Import makes a home at o.Dir, where none may be, from the commits of another: it has their log and
// head file, and an empty state, which the next Open's caller makes from the log. The commits have to
// begin at 1 and to follow each other; that their roots are right is the caller's to check. They are
// written many at a time and synced once, at the end: nothing of the home counts before Import has
// returned nil.
func Import(o Options, commits iter.Seq2[*Commit, error]) error {
	s, err := Open(o)
	if err != nil {
		return err
	}
	if size := s.durable().Size; size > 0 {
		return errors.Join(fmt.Errorf("import into %s: it holds %d records", o.Dir, size), s.Close())
	}
	if err := s.importAll(commits); err != nil {
		return errors.Join(fmt.Errorf("import into %s: %w", o.Dir, err), s.Close())
	}
	return s.Close()
}

// Extend adds the commits of another to a home, as Import does to a new one: they follow what it has, and nothing of
// the home counts before Extend has returned nil. Its state stays where it is.
func Extend(o Options, commits iter.Seq2[*Commit, error]) error {
	s, err := Open(o)
	if err != nil {
		return err
	}
	if err := s.importAll(commits); err != nil {
		return errors.Join(fmt.Errorf("add commits to %s: %w", o.Dir, err), s.Close())
	}
	return s.Close()
}

func (s *Store) importAll(commits iter.Seq2[*Commit, error]) error {
	batch := s.appender.batch
	write := func() error {
		err := batch.Commit(pebble.NoSync)
		batch.Reset()
		return err
	}
	for c, err := range commits {
		if err == nil {
			err = s.checkContinues(c)
		}
		if err != nil {
			return err
		}
		s.appender.encode(c)
		s.advance(c)
		if batch.Len() >= importBatchBytes {
			if err := write(); err != nil {
				return err
			}
		}
	}
	tail := s.durable()
	if tail.Size == 0 {
		return nil
	}
	if err := write(); err != nil {
		return err
	}
	if err := s.guard.during(s.log.Flush); err != nil {
		return err
	}
	return s.head.write(tail.Size, &tail.Root)
}
