package stream

import (
	"fmt"

	"github.com/rustyonions/ron-ledger/store"
)

const (
	// chunkBytes and chunkMessages bound what is read, and on its way, at once.
	chunkBytes    = 4 << 20
	chunkMessages = 512
	// payloadMin is the least that a server has to take in a message: an entry in JSON, and the head.
	payloadMin = 16 << 10
	// headerRoom is what the headers of a message take at most.
	headerRoom = 512
)

// reader makes messages of commits.
type reader struct {
	store   *store.Store
	log     [16]byte
	entries bool
}

// chunk returns the messages from next on, of commits up to a size: at most chunkMessages, and no more once they
// have chunkBytes. payloadMax is what the server takes in a message.
func (r *reader) chunk(next, size uint64, payloadMax int) (messages []message, err error) {
	total := 0
	for c, err := range r.store.Commits(next) {
		if err != nil {
			return nil, fmt.Errorf("read the log from %d: %w", next, err)
		}
		if c.Last() > size {
			break
		}
		for next <= c.Last() {
			m := headOf(r.log, next, c)
			if r.entries {
				if m, err = withEntries(r.log, next, c, payloadMax-headerRoom); err != nil {
					return nil, err
				}
			}
			messages, next, total = append(messages, m), m.next, total+len(m.body)
			if len(messages) == chunkMessages || total >= chunkBytes {
				return messages, nil
			}
		}
	}
	return messages, nil
}
