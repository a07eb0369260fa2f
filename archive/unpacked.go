package archive

import (
	"slices"
	"sort"

	"github.com/rustyonions/ron-ledger/store"
)

// unpacked is a segment of which every record can be read by its number. It is never changed.
type unpacked struct {
	first, last uint64
	at, next    slot
	records     []byte   // back to back
	ends        []uint32 // of each record in records
	commits     []commitEnd
}

// commitEnd is where a commit of an unpacked segment ends.
type commitEnd struct {
	records uint32 // of the segment, up to here
	timeMs  int64
}

// unpack reads the commits of a segment. Of a fence nothing is left but its place.
func (s *Segment) unpack() (*unpacked, error) {
	u := &unpacked{first: s.First, last: s.Last, at: s.at, next: s.next()}
	if s.fence() {
		return u, nil
	}
	u.records = make([]byte, 0, s.rawLen)
	u.ends = make([]uint32, 0, min(s.Last-s.First+1, s.rawLen/(entryMinBytes+stampBytes)))
	u.commits = make([]commitEnd, 0, min(uint64(s.Commits), s.rawLen/commitHeaderLen))
	for c, err := range s.All() {
		if err != nil {
			return nil, err
		}
		start := uint32(len(u.records))
		u.records = append(u.records, c.Records...)
		for _, end := range c.Ends {
			u.ends = append(u.ends, start+end)
		}
		u.commits = append(u.commits, commitEnd{uint32(len(u.ends)), c.TimeMs})
	}
	return u, nil
}

// has reports whether a record is in u.
func (u *unpacked) has(seq uint64) bool { return u.first <= seq && seq <= u.last }

// record returns a record that u has.
func (u *unpacked) record(seq uint64) store.Record {
	i := uint32(seq - u.first)
	start := uint32(0)
	if i > 0 {
		start = u.ends[i-1]
	}
	commit := sort.Search(len(u.commits), func(at int) bool { return u.commits[at].records > i })
	return store.Record{Seq: seq, Bytes: u.records[start:u.ends[i]:u.ends[i]], TimeMs: u.commits[commit].timeMs}
}

// unpackedBytes is what an unpacked segment takes beside its contents.
const unpackedBytes = 512

// bytes is how much memory u takes.
func (u *unpacked) bytes() int64 {
	return unpackedBytes + int64(cap(u.records)) + 4*int64(cap(u.ends)) + 16*int64(cap(u.commits))
}

// shelf keeps the unpacked segments that were read last, up to a number of bytes, and the newest one whatever
// its length. What is asked for lies within a segment and is not the key of one, so it searches instead of hashing.
type shelf struct {
	limit  int64
	bytes  int64
	read   uint64    // counts reads
	sorted []shelved // by first sequence number
}

type shelved struct {
	*unpacked
	read uint64 // when it was read last
}

// find returns the index of the segment that has a record, or where it would be.
func (s *shelf) find(seq uint64) (at int, found bool) {
	return slices.BinarySearchFunc(s.sorted, seq, func(u shelved, seq uint64) int {
		switch {
		case u.last < seq:
			return -1
		case u.first > seq:
			return 1
		}
		return 0
	})
}

// get returns the segment that has a record; nil where it is not here.
func (s *shelf) get(seq uint64) *unpacked {
	at, found := s.find(seq)
	if !found {
		return nil
	}
	s.read++
	s.sorted[at].read = s.read
	return s.sorted[at].unpacked
}

// put takes a segment and lets go of those that were not read for longest.
func (s *shelf) put(u *unpacked) {
	s.drop(u.first)
	at, _ := s.find(u.first)
	s.read++
	s.sorted = slices.Insert(s.sorted, at, shelved{u, s.read})
	for s.bytes += u.bytes(); s.bytes > s.limit && len(s.sorted) > 1; {
		oldest := slices.MinFunc(s.sorted, func(a, b shelved) int { return int(a.read) - int(b.read) })
		s.drop(oldest.first)
	}
}

// drop lets go of the segment that has a record.
func (s *shelf) drop(seq uint64) {
	if at, found := s.find(seq); found {
		s.bytes -= s.sorted[at].bytes()
		s.sorted = slices.Delete(s.sorted, at, at+1)
	}
}
