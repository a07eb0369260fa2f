package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/klauspost/compress/zstd"
	"lukechampine.com/blake3"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

const (
	segmentMagic     = "RLGSEG02"
	segmentHeaderLen = 184
	segmentMagicV1   = "RLGSEG01" // without term and successor
	segmentHeaderV1  = 144
	commitHeaderLen  = 56
	groupLen         = 24
	stampBytes       = 24
	entryMinBytes    = 80
	checksumLen      = 32

	// segmentRawMax bounds the commits of a segment. A writer ends one at segmentRawTarget, but a
	// commit is never split.
	segmentRawMax    = 256 << 20
	segmentRawTarget = 4 << 20
	segmentBytesMax  = segmentRawMax + segmentRawMax/64 + 1<<20 // as it is stored, incompressible
)

// Segment is what the header of one says, and its checkpoint. One without commits is a fence: it ends
// a term and begins another.
type Segment struct {
	LogID       [16]byte // in force when it was written: names the folder
	Genesis     [16]byte // of the ledger's first epoch
	Hash        merkle.HashKind
	First, Last uint64 // sequence numbers
	Before      merkle.Hash
	Root        merkle.Hash
	TimeMs      int64
	Commits     uint32
	Checkpoint  []byte   // signed note
	Term        uint64   // in force behind it
	Successor   [16]byte // of a fence behind which nothing follows: the log id under which it goes on

	claim  [16]byte // of a fence: drawn by who made it, so that no two make the same
	at     slot     // in the chain
	rawLen uint64
	frame  []byte   // zstd
	sum    [32]byte // of the whole object
	bytes  int      // of it
}

// fence reports whether s ends a term instead of holding commits.
func (s *Segment) fence() bool { return s.Commits == 0 }

// next returns the place of what follows.
func (s *Segment) next() slot { return slot{s.Last + 1, s.Term} }

// The coders are made once, since each keeps some memory; who comes second waits.
var (
	encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
		// On entries the fastest level is a third faster than the default one, and not longer.
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
	})
	decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(segmentRawMax))
	})
)

// appendCommit appends a commit as a segment has it.
func appendCommit(dst []byte, c *store.Commit) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(c.Count))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(c.Groups)))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(c.Records)))
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(c.TimeMs))
	dst = append(dst, c.Root[:]...)
	for i := range c.Groups {
		g := &c.Groups[i]
		dst = binary.LittleEndian.AppendUint32(dst, uint32(g.First-c.First))
		dst = binary.LittleEndian.AppendUint32(dst, g.Count)
		dst = append(dst, g.IdemID[:]...)
	}
	return append(dst, c.Records...)
}

// encode returns the object with these commits.
func (s *Segment) encode(raw []byte) ([]byte, error) {
	if len(raw) > segmentRawMax || len(s.Checkpoint) > 0xffff {
		return nil, fmt.Errorf("make segment %d: %d bytes of commits or %d of checkpoint are over the limit", s.First, len(raw), len(s.Checkpoint))
	}
	z, err := encoder()
	if err != nil {
		return nil, fmt.Errorf("make segment %d: %w", s.First, err)
	}
	b := make([]byte, segmentHeaderLen, segmentHeaderLen+len(s.Checkpoint)+len(raw)/2+checksumLen)
	copy(b, segmentMagic)
	copy(b[8:], s.LogID[:])
	binary.LittleEndian.PutUint64(b[24:], s.First)
	binary.LittleEndian.PutUint64(b[32:], s.Last)
	copy(b[40:], s.Before[:])
	copy(b[72:], s.Root[:])
	binary.LittleEndian.PutUint64(b[104:], uint64(s.TimeMs))
	binary.LittleEndian.PutUint64(b[112:], uint64(len(raw)))
	binary.LittleEndian.PutUint32(b[120:], s.Commits)
	b[124] = uint8(s.Hash)
	binary.LittleEndian.PutUint16(b[126:], uint16(len(s.Checkpoint)))
	copy(b[128:], s.Genesis[:])
	binary.LittleEndian.PutUint64(b[144:], s.Term)
	copy(b[152:], s.Successor[:])
	copy(b[168:], s.claim[:])
	b = append(b, s.Checkpoint...)
	b = z.EncodeAll(raw, b)
	s.sum = blake3.Sum256(b)
	b = append(b, s.sum[:]...)
	s.bytes = len(b)
	return b, nil
}

var errChecksum = errors.New("its checksum is wrong: it is damaged")

// decodeSegment reads the object of that name. It checks the checksum and that the header can be
// one; Commits checks what is inside.
func decodeSegment(name string, b []byte) (*Segment, error) {
	s, err := parseSegment(b)
	if err == nil {
		err = s.place(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return s, nil
}

// place takes the place in the chain that a name says, if it can be that of s.
func (s *Segment) place(name string) error {
	at, ok := parseSlot(name)
	switch {
	case !ok || at.first != s.First:
		return fmt.Errorf("it begins with sequence number %d, which is not what its name says", s.First)
	case s.fence() && s.Term <= at.term, !s.fence() && s.Term != at.term:
		return fmt.Errorf("it is of term %d, which is not what its name says", s.Term)
	}
	s.at = at
	return nil
}

func parseSegment(b []byte) (*Segment, error) {
	header := segmentHeaderLen
	if len(b) > 8 && string(b[:8]) == segmentMagicV1 {
		header = segmentHeaderV1
	} else if len(b) < 8 || string(b[:8]) != segmentMagic {
		header = len(b)
	}
	if len(b) < header+checksumLen {
		return nil, errors.New("it does not begin as a segment does, or is cut short")
	}
	body := b[:len(b)-checksumLen]
	s := &Segment{
		LogID: [16]byte(b[8:]), Genesis: [16]byte(b[128:]), Hash: merkle.HashKind(b[124]),
		First: binary.LittleEndian.Uint64(b[24:]), Last: binary.LittleEndian.Uint64(b[32:]),
		Before: merkle.Hash(b[40:72]), Root: merkle.Hash(b[72:104]),
		TimeMs: int64(binary.LittleEndian.Uint64(b[104:])), Commits: binary.LittleEndian.Uint32(b[120:]),
		rawLen: binary.LittleEndian.Uint64(b[112:]), sum: blake3.Sum256(body), bytes: len(b), Term: firstTerm,
	}
	if header == segmentHeaderLen {
		s.Term, s.Successor = binary.LittleEndian.Uint64(b[144:]), [16]byte(b[152:])
		s.claim = [16]byte(b[168:])
	}
	note := int(binary.LittleEndian.Uint16(b[126:]))
	switch {
	case string(s.sum[:]) != string(b[len(body):]):
		return nil, errChecksum
	case s.First == 0 || s.Last == ^uint64(0) || !s.Hash.Valid() || b[125] != 0 || s.rawLen > segmentRawMax || header+note > len(body) || !s.possible():
		return nil, errors.New("its header is not one that is written")
	}
	s.Checkpoint, s.frame = body[header:header+note], body[header+note:]
	return s, nil
}

// possible tells whether what the header says of its commits goes together.
func (s *Segment) possible() bool {
	if s.fence() {
		return s.Last == s.First-1 && s.Root == s.Before && s.rawLen == 0
	}
	return s.Last >= s.First && s.Successor == [16]byte{} && s.claim == [16]byte{}
}

// All yields the commits in order. The Commit holds until the next step, its Records until the
// iteration ends. An error ends the iteration. Roots are not computed again here.
func (s *Segment) All() iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		fail := func(err error) { yield(nil, fmt.Errorf("read %s: %w", SegmentName(s.First), err)) }
		raw, err := s.raw()
		if err != nil {
			fail(err)
			return
		}
		c := store.Commit{First: s.First}
		count := uint32(0)
		for ; len(raw) > 0; count++ {
			if raw, err = nextCommit(&c, raw); err != nil {
				fail(fmt.Errorf("the commit at %d: %w", c.First, err))
				return
			}
			if len(raw) == 0 && (count+1 != s.Commits || c.Last() != s.Last || merkle.Hash(c.Root) != s.Root) {
				break
			}
			if !yield(&c, nil) {
				return
			}
			c.First = c.Last() + 1
		}
		if count != s.Commits || c.First != s.Last+1 {
			fail(errors.New("its commits are not those that its header says"))
		}
	}
}

func (s *Segment) raw() ([]byte, error) {
	z, err := decoder()
	if err != nil {
		return nil, err
	}
	raw, err := z.DecodeAll(s.frame, make([]byte, 0, s.rawLen))
	if err == nil && uint64(len(raw)) != s.rawLen {
		err = fmt.Errorf("%d bytes instead of %d", len(raw), s.rawLen)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress its commits: %w", err)
	}
	return raw, nil
}

var errCommit = errors.New("it does not decode")

// nextCommit reads the commit at c.First and returns what follows it.
func nextCommit(c *store.Commit, b []byte) (rest []byte, err error) {
	if len(b) < commitHeaderLen {
		return nil, errCommit
	}
	count, groups := binary.LittleEndian.Uint32(b), int64(binary.LittleEndian.Uint32(b[4:]))
	length := int64(binary.LittleEndian.Uint32(b[8:]))
	c.TimeMs = int64(binary.LittleEndian.Uint64(b[16:]))
	copy(c.Root[:], b[24:])
	zero := binary.LittleEndian.Uint32(b[12:])
	b = b[commitHeaderLen:]
	if zero != 0 || count == 0 || groups > int64(count) || int64(len(b)) < groups*groupLen+length ||
		int64(count)*(entryMinBytes+stampBytes) > length {
		return nil, errCommit
	}
	c.Count, c.Groups, c.Ends = int(count), c.Groups[:0], c.Ends[:0]
	for range groups {
		g := store.Group{First: c.First + uint64(binary.LittleEndian.Uint32(b)), Count: binary.LittleEndian.Uint32(b[4:])}
		copy(g.IdemID[:], b[8:])
		c.Groups = append(c.Groups, g)
		b = b[groupLen:]
	}
	c.Records = b[:length:length]
	at := int64(0)
	for range count {
		if length-at < entryMinBytes+stampBytes {
			return nil, errCommit
		}
		at += int64(binary.LittleEndian.Uint16(c.Records[at:])) + stampBytes
		c.Ends = append(c.Ends, uint32(at))
	}
	if at != length {
		return nil, errCommit
	}
	return b[length:], nil
}
