package store

import "fmt"

// keepWitness writes into the head file what the mark of a state that is about to be discarded says
// of the log: a checkpoint is never ahead of the durable log, so a mark beyond the log's end, or with
// another root, tells of a loss that the head file may not know of.
func (s *Store) keepWitness() error {
	m := s.state.current
	if s.readOnly || m.Size <= s.headAt.Seq || m.Size < s.tail.Size || m.Size == s.tail.Size && m.Root == s.tail.Root {
		return nil
	}
	if err := s.head.write(m.Size, &m.Root); err != nil {
		return err
	}
	if err := s.head.sync(); err != nil {
		return fmt.Errorf("note what the state says of the log: %w", err)
	}
	s.headAt = HeadSlot{Known: true, Count: s.head.count, Seq: m.Size, Root: m.Root}
	return nil
}
