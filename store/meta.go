package store

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Meta is the identity of a ledger. It is made at creation; of it only the epoch ever changes, which
// is a copy of what the newest Epoch record says, for those who do not read the log.
type Meta struct {
	Version   uint8    // of the layout of the home; this package writes and reads 1
	Hash      uint8    // HashBLAKE3 or HashSHA256
	LogID     [16]byte // random; that of epoch 0
	CreatedMs int64    // Unix milliseconds

	EpochNumber uint32 // of the epoch in force; 0 = the first
	EpochLogID  [16]byte
}

// InForce returns number and log id of the epoch in force.
func (m *Meta) InForce() (number uint64, logID [16]byte) {
	if m.EpochNumber == 0 {
		return 0, m.LogID
	}
	return uint64(m.EpochNumber), m.EpochLogID
}

// SetEpoch makes the meta file say which epoch is in force. It is durable when SetEpoch returns.
// Nothing may call Meta meanwhile.
func (s *Store) SetEpoch(number uint64, logID [16]byte) error {
	if s.readOnly {
		return ErrReadOnly
	}
	if number > math.MaxUint32 {
		return fmt.Errorf("write %s: epoch %d is above %d", metaName, number, uint32(math.MaxUint32))
	}
	m := s.meta
	m.EpochNumber, m.EpochLogID = uint32(number), logID
	if err := writeMeta(s.fs, s.dir, m); err != nil {
		return err
	}
	s.meta = m
	return nil
}

const (
	metaName    = "meta"
	metaMagic   = "RLGMETA1"
	metaVersion = 1
	metaSize    = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newMeta(o *Options) Meta {
	m := Meta{Version: metaVersion, Hash: o.Hash, LogID: o.LogID, CreatedMs: time.Now().UnixMilli()}
	if m.Hash == 0 {
		m.Hash = HashBLAKE3
	}
	if m.LogID == [16]byte{} {
		rand.Read(m.LogID[:])
	}
	return m
}

func (m Meta) encode() []byte {
	b := make([]byte, metaSize)
	copy(b, metaMagic)
	b[8] = m.Version
	b[9] = m.Hash
	copy(b[16:], m.LogID[:])
	binary.LittleEndian.PutUint64(b[32:], uint64(m.CreatedMs))
	binary.LittleEndian.PutUint32(b[40:], m.EpochNumber)
	copy(b[44:60], m.EpochLogID[:])
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

func decodeMeta(b []byte) (Meta, error) {
	switch {
	case len(b) != metaSize:
		return Meta{}, fmt.Errorf("%d bytes instead of %d", len(b), metaSize)
	case string(b[:8]) != metaMagic:
		return Meta{}, errors.New("it does not begin as a meta file does")
	case crc32.Checksum(b[:60], castagnoli) != binary.LittleEndian.Uint32(b[60:]):
		return Meta{}, errors.New("its checksum is wrong")
	}
	m := Meta{Version: b[8], Hash: b[9], CreatedMs: int64(binary.LittleEndian.Uint64(b[32:]))}
	copy(m.LogID[:], b[16:])
	m.EpochNumber = binary.LittleEndian.Uint32(b[40:])
	copy(m.EpochLogID[:], b[44:])
	if m.Version != metaVersion {
		return Meta{}, fmt.Errorf("layout version %d is not %d: use the release that wrote it", m.Version, metaVersion)
	}
	if m.Hash != HashBLAKE3 && m.Hash != HashSHA256 {
		return Meta{}, fmt.Errorf("unknown hash %d", m.Hash)
	}
	return m, nil
}

// ReadMeta returns the identity of the ledger that lies in a directory, without
// opening it: a running one can be asked too.
func ReadMeta(dir string) (Meta, error) {
	m, ok, err := readMeta(vfs.Default, dir)
	if err == nil && !ok {
		err = fmt.Errorf("read %s: %w", vfs.Default.PathJoin(dir, metaName), fs.ErrNotExist)
	}
	return m, err
}

// readMeta returns ok = false when there is no meta file.
func readMeta(fsys vfs.FS, dir string) (m Meta, ok bool, err error) {
	path := fsys.PathJoin(dir, metaName)
	b, err := readSmallFile(fsys, path, metaSize+1)
	if errors.Is(err, fs.ErrNotExist) {
		return Meta{}, false, nil
	}
	if err == nil {
		m, err = decodeMeta(b)
	}
	if err != nil {
		return Meta{}, false, fmt.Errorf("read %s: %w", path, err)
	}
	return m, true, nil
}

func writeMeta(fsys vfs.FS, dir string, m Meta) error {
	if err := writeFileAtomically(fsys, dir, metaName, m.encode()); err != nil {
		return fmt.Errorf("write %s: %w", fsys.PathJoin(dir, metaName), err)
	}
	return nil
}

// readSmallFile reads at most limit bytes of the file at path.
func readSmallFile(fsys vfs.FS, path string, limit int64) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit))
	return b, errors.Join(err, f.Close())
}

// writeFileAtomically makes dir/name hold b: after a crash it is there whole or not at all.
func writeFileAtomically(fsys vfs.FS, dir, name string, b []byte) error {
	tmp := fsys.PathJoin(dir, name+".tmp")
	if err := writeSynced(fsys, tmp, b); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, fsys.PathJoin(dir, name)); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

// writeSynced makes a file with these bytes. Its name is durable only when its folder is synced.
func writeSynced(fsys vfs.FS, path string, b []byte) error {
	f, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes dir and its parents, each of them durable in its own parent.
func makeDir(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(dir); err == nil {
		return nil
	}
	parent := fsys.PathDir(dir)
	if parent != dir {
		if err := makeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fsys, parent)
}
