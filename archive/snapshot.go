package archive

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"lukechampine.com/blake3"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

const (
	snapshotPrefix   = "snapshot-"
	snapshotPart     = "part-"
	snapshotTitle    = "ron-ledger archived snapshot v1"
	snapshotIndexMax = 16 << 20
	// snapshotPartBytes is how long every part of a snapshot is but the last: so much of one is in memory.
	snapshotPartBytes = 16 << 20
)

// Snapshot is what the index of one says.
type Snapshot struct {
	Origin string
	Term   uint64 // in which it was made
	Size   uint64 // of the log in it
	Root   merkle.Hash
	Bytes  uint64
	claim  [8]byte // drawn by who made it, so that what an attempt left that failed is in nobody's way
	parts  []snapshotPiece
}

type snapshotPiece struct {
	bytes int
	sum   [32]byte
}

// Name returns the name of the index.
func (s *Snapshot) Name() string { return snapshotPrefix + slotDigits(s.Size, s.Term) }

func slotDigits(size, term uint64) string { return fmt.Sprintf("%020d.%020d", size, term) }

func (s *Snapshot) partName(i int) string {
	return fmt.Sprintf("%s%s.%x.%06d", snapshotPart, slotDigits(s.Size, s.Term), s.claim, i+1)
}

// text is what gets signed.
func (s *Snapshot) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\nterm %d\nsize %d\nroot %s\nbytes %d\nparts %d %x\n",
		snapshotTitle, s.Origin, s.Term, s.Size, base64.StdEncoding.EncodeToString(s.Root[:]), s.Bytes, len(s.parts), s.claim)
	for _, p := range s.parts {
		fmt.Fprintf(&b, "%d %x\n", p.bytes, p.sum)
	}
	return b.String()
}

var errNoIndex = errors.New("it is not the index of a snapshot")

// parseSnapshot accepts what text returns and nothing else.
func parseSnapshot(text string) (*Snapshot, error) {
	s, parts, claim, root := new(Snapshot), 0, "", ""
	n, err := fmt.Sscanf(text, snapshotTitle+"\n%s\nterm %d\nsize %d\nroot %s\nbytes %d\nparts %d %s\n",
		&s.Origin, &s.Term, &s.Size, &root, &s.Bytes, &parts, &claim)
	if err != nil || n != 7 {
		return nil, errNoIndex
	}
	lines := strings.Split(text, "\n")
	rawRoot, err1 := base64.StdEncoding.DecodeString(root)
	rawClaim, err2 := hex.DecodeString(claim)
	if err := errors.Join(err1, err2); err != nil || len(rawRoot) != len(s.Root) || len(rawClaim) != len(s.claim) || len(lines) != parts+8 {
		return nil, errNoIndex
	}
	copy(s.Root[:], rawRoot)
	copy(s.claim[:], rawClaim)
	total := uint64(0)
	for _, line := range lines[7 : 7+parts] {
		p, sum := snapshotPiece{}, ""
		if n, err := fmt.Sscanf(line, "%d %s", &p.bytes, &sum); err != nil || n != 2 || p.bytes < 1 || p.bytes > snapshotPartBytes {
			return nil, errNoIndex
		}
		raw, err := hex.DecodeString(sum)
		if err != nil || len(raw) != len(p.sum) {
			return nil, errNoIndex
		}
		copy(p.sum[:], raw)
		total += uint64(p.bytes)
		s.parts = append(s.parts, p)
	}
	if s.text() != text || total != s.Bytes {
		return nil, errNoIndex
	}
	return s, nil
}

// openSnapshot reads an index signed by key; with a nil key unchecked.
func openSnapshot(signed []byte, key note.Verifier) (*Snapshot, error) {
	text, err := openNote(signed, key)
	if err != nil {
		return nil, err
	}
	s, err := parseSnapshot(text)
	if err == nil && key != nil && s.Origin != key.Name() {
		err = fmt.Errorf("it is that of %s", s.Origin)
	}
	return s, err
}

// sign returns the index as a signed note.
func (s *Snapshot) sign(key note.Signer) ([]byte, error) {
	return note.Sign(&note.Note{Text: s.text()}, key)
}

// PutSnapshot puts a snapshot of the log, which write writes, beside the segments, which have to reach as far already: its
// parts first and then the index, without which they are nothing. Where there is one of that size and term
// it is as good. It may be called from any goroutine.
func (w *Writer) PutSnapshot(ctx context.Context, size uint64, root merkle.Hash, write func(io.Writer) error) (*Snapshot, error) {
	head := w.Archived()
	s := &Snapshot{Origin: w.options.Signer.Name(), Term: head.Term, Size: size, Root: root}
	rand.Read(s.claim[:])
	if head.Size < size || size == 0 {
		return nil, fmt.Errorf("put a snapshot of %d entries beside the segments: these end at %d", size, head.Size)
	}
	there, _, err := w.folder.objects.Read(ctx, w.folder.key(s.Name()), snapshotIndexMax)
	if err == nil {
		return openSnapshot(there, w.options.Verifier)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	parts := &partWriter{ctx: ctx, folder: w.folder, snapshot: s, part: make([]byte, 0, w.part)}
	if err := write(parts); err != nil {
		return nil, err
	}
	if err := parts.flush(); err != nil {
		return nil, err
	}
	signed, err := s.sign(w.options.Signer)
	if err == nil {
		_, err = w.folder.createOnce(ctx, s.Name(), signed, snapshotIndexMax)
	}
	if err != nil {
		return nil, fmt.Errorf("put the index of a snapshot: %w", err)
	}
	return s, nil
}

// partWriter cuts what is written into parts.
type partWriter struct {
	ctx      context.Context
	folder   folder
	snapshot *Snapshot
	part     []byte
}

func (p *partWriter) Write(b []byte) (n int, err error) {
	for n < len(b) {
		space := p.part[len(p.part):cap(p.part)]
		copied := copy(space, b[n:])
		p.part = p.part[:len(p.part)+copied]
		n += copied
		if len(p.part) == cap(p.part) {
			if err := p.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush puts the part that is open.
func (p *partWriter) flush() error {
	if len(p.part) == 0 {
		return nil
	}
	s := p.snapshot
	if _, err := p.folder.createOnce(p.ctx, s.partName(len(s.parts)), p.part, snapshotPartBytes); err != nil {
		return err
	}
	s.parts = append(s.parts, snapshotPiece{len(p.part), blake3.Sum256(p.part)})
	s.Bytes += uint64(len(p.part))
	p.part = p.part[:0]
	return nil
}
