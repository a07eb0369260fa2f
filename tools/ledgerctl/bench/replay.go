package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// What a replay has under way, where it is not set by hand.
const (
	replayInflight = 16
	replayBatch    = 256
)

// ofReplay sets what is not set by hand: one connection keeps the order.
func (p *Plan) ofReplay(set func(flag string) bool) {
	p.connections = 1
	if !set("inflight") {
		p.inflight = replayInflight
	}
	if !set("batch") {
		p.batch = replayBatch
	}
}

// runReplay sends a journal once: in its order, since later entries spend what earlier
// ones brought, and so over one connection with requests of the batch under way. It is
// read and encoded before the clock starts. Rejected entries are part of the result
// and no failure of the bench.
func (b *bench) runReplay(ctx context.Context) error {
	frames, err := b.readJournal()
	if err != nil {
		return err
	}
	c := b.conns[0]
	c.tally.measured.Store(true)
	s := b.sampler
	s.metrics[0] = scrape.Read(ctx, b.status.HTTPS, s.ca)
	s.begin = s.take()
	if err := replay(c, frames, b.plan.inflight); err != nil {
		return err
	}
	s.look(ctx)
	s.end = s.take()
	b.joined = len(b.conns)
	return nil
}

// readJournal makes the frames of all requests.
func (b *bench) readJournal() (frames [][]byte, _ error) {
	for entries, err := range b.options.Journal(b.plan.replay, b.plan.batch, int(b.conns[0].welcome.MaxFrame)/2) {
		if err != nil {
			return nil, fmt.Errorf("read --replay: %w", err)
		}
		frames = append(frames, appendFrame(uint64(len(frames)+1), entries))
	}
	return frames, nil
}

func appendFrame(id uint64, entries *client.Batch) []byte {
	frame := wire.AppendFrameHeader(nil, wire.FrameHeader{Type: wire.FrameAppend, RequestID: id})
	head := wire.AppendRequest{Count: uint32(entries.Len())}
	frame = head.Append(frame)
	for _, e := range entries.All() {
		frame = append(frame, e...)
	}
	wire.FinishFrame(frame, 0)
	return frame
}

// replay keeps inflight frames under way and returns when all are answered.
func replay(c *connection, frames [][]byte, inflight int) error {
	sent := make([]time.Time, len(frames))
	next := 0
	send := func() error {
		sent[next] = time.Now()
		if _, err := c.Write(frames[next]); err != nil {
			return fmt.Errorf("write requests: %w", err)
		}
		next++
		return nil
	}
	for next < min(inflight, len(frames)) {
		if err := send(); err != nil {
			return err
		}
	}
	answered := 0
	if len(frames) == 0 {
		return nil
	}
	return c.each(func(frame wire.Frame) (more bool, err error) {
		i := int(frame.RequestID) - 1
		if i < 0 || i >= next {
			return false, fmt.Errorf("%w: an answer to request %d, which was not sent", client.ErrProtocol, frame.RequestID)
		}
		refused, err := c.count(frame, time.Since(sent[i]))
		if err != nil {
			return false, err
		}
		if refused != 0 {
			return false, fmt.Errorf("request %d of the journal was refused: %v", i+1, refused)
		}
		if answered++; next < len(frames) {
			return true, send()
		}
		return answered < len(frames), nil
	})
}
