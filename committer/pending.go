package committer

import (
	"encoding/binary"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// pending is a commit on its way: open while the committer adds to it, then with
// the writer until it is durable, then with the publisher, then empty again.
type pending struct {
	commit   store.Commit
	requests []*Request

	size     uint64 // of the tree after it
	tiles    merkle.View
	openedNs int64 // when the first request was taken, monotonic
	sealedNs int64 // when it was handed to the writer
	syncedNs int64 // when it was durable

	checkpoint *checkpointJob // to be written once this commit is durable
}

// empty reports whether nothing waits for this commit.
func (p *pending) empty() bool { return len(p.requests) == 0 }

// add books one record.
func (p *pending) add(record []byte, seq uint64) {
	if p.commit.Count == 0 {
		p.commit.First = seq
	}
	p.commit.Records = append(p.commit.Records, record...)
	p.commit.Ends = append(p.commit.Ends, uint32(len(p.commit.Records)))
	p.commit.Count++
}

// mark and cut take back what a request added.
func (p *pending) mark() int { return p.commit.Count }

func (p *pending) cut(count int) {
	p.commit.Count = count
	p.commit.Ends = p.commit.Ends[:count]
	length := 0
	if count > 0 {
		length = int(p.commit.Ends[count-1])
	}
	p.commit.Records = p.commit.Records[:length]
}

// entry returns the entry with that sequence number when it is part of p.
func (p *pending) entry(seq uint64) (wire.Entry, bool) {
	if p == nil || p.commit.Count == 0 || seq < p.commit.First || seq >= p.commit.First+uint64(p.commit.Count) {
		return nil, false
	}
	i := int(seq - p.commit.First)
	start := uint32(0)
	if i > 0 {
		start = p.commit.Ends[i-1]
	}
	return withoutStamp(p.commit.Records[start:p.commit.Ends[i]]), true
}

// withoutStamp returns the entry that a record starts with.
func withoutStamp(record []byte) wire.Entry {
	size := binary.LittleEndian.Uint16(record)
	return wire.Entry(record[:size:size])
}

// reset empties p and keeps its buffers, unless one request of unusual size blew
// them up.
func (p *pending) reset() {
	const keepBytes = 4 << 20
	records := p.commit.Records[:0]
	if cap(records) > keepBytes {
		records = nil
	}
	clear(p.requests)
	*p = pending{
		commit:   store.Commit{Records: records, Ends: p.commit.Ends[:0], Groups: p.commit.Groups[:0]},
		requests: p.requests[:0],
	}
}
