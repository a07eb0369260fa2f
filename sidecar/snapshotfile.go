package sidecar

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"
	"lukechampine.com/blake3"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// A snapshot is a tar, compressed with zstd, of the files of a home but for its keys, then of two that
// say what they have to be:
//
//	files     a line for each, in order: BLAKE3 (64 hex digits), size, name
//	manifest  a note signed by the key of the ledger's checkpoints, over these lines:
//
//	ron-ledger snapshot v1
//	ORIGIN
//	first FIRST      lowest sequence number that the log has
//	size SIZE        highest
//	root ROOT        at that size, hex
//	state SIZE       that the derived state covers
//	time MS          of the last commit, Unix ms
//	version VERSION  of the ron-ledgerd that made it
//	files BLAKE3     of the list
const (
	snapshotTitle    = "ron-ledger snapshot v1"
	snapshotList     = "files"
	snapshotManifest = "manifest"
	snapshotNoteMax  = 8 << 10
	snapshotListMax  = 64 << 20
)

// SnapshotInfo is what the manifest of a snapshot says.
type SnapshotInfo struct {
	Origin      string
	First, Size uint64
	Root        merkle.Hash
	State       uint64
	TimeMs      int64
	Version     string
	List        [32]byte // BLAKE3 of the list of files
}

func (m *SnapshotInfo) text() string {
	return fmt.Sprintf("%s\n%s\nfirst %d\nsize %d\nroot %s\nstate %d\ntime %d\nversion %s\nfiles %x\n",
		snapshotTitle, m.Origin, m.First, m.Size, m.Root, m.State, m.TimeMs, m.Version, m.List)
}

// parseSnapshotInfo accepts what text returns and nothing else.
func parseSnapshotInfo(text string) (*SnapshotInfo, error) {
	m := new(SnapshotInfo)
	var root, list string
	_, err := fmt.Sscanf(text, snapshotTitle+"\n%s\nfirst %d\nsize %d\nroot %s\nstate %d\ntime %d\nversion %s\nfiles %s\n",
		&m.Origin, &m.First, &m.Size, &root, &m.State, &m.TimeMs, &m.Version, &list)
	if err == nil {
		err = m.Root.UnmarshalText([]byte(root))
	}
	sum, err2 := hex.DecodeString(list)
	if err != nil || err2 != nil || len(sum) != len(m.List) {
		return nil, errors.New("it is not the manifest of a snapshot")
	}
	copy(m.List[:], sum)
	if m.text() != text {
		return nil, errors.New("it is not the manifest of a snapshot")
	}
	return m, nil
}

// openManifest reads a signed manifest; with a nil key unchecked.
func openManifest(signed []byte, key note.Verifier) (*SnapshotInfo, error) {
	text, _, _ := strings.Cut(string(signed), "\n\n")
	text += "\n"
	if key != nil {
		opened, err := note.Open(signed, note.VerifierList(key))
		if err != nil {
			return nil, fmt.Errorf("%s: it is not signed by %s: %w", snapshotManifest, key.Name(), err)
		}
		text = opened.Text
	}
	m, err := parseSnapshotInfo(text)
	if err == nil && key != nil && m.Origin != key.Name() {
		err = fmt.Errorf("it is that of %s", m.Origin)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", snapshotManifest, err)
	}
	return m, nil
}

// packSnapshot writes a snapshot to w.
func packSnapshot(w io.Writer, sn *store.Snapshot, m *SnapshotInfo, signer note.Signer) (err error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<20))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	t := tar.NewWriter(z)
	var list bytes.Buffer
	for _, name := range sn.Files() {
		err := sn.Read(name, func(content io.Reader, size int64) error {
			hash := blake3.New(32, nil)
			if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, Format: tar.FormatPAX}); err != nil {
				return err
			}
			if _, err := io.Copy(t, io.TeeReader(content, hash)); err != nil {
				return err
			}
			fmt.Fprintf(&list, "%x %d %s\n", hash.Sum(nil), size, name)
			return nil
		})
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	m.List = blake3.Sum256(list.Bytes())
	signed, err := note.Sign(&note.Note{Text: m.text()}, signer)
	if err != nil {
		return fmt.Errorf("sign the manifest: %w", err)
	}
	for _, last := range []struct {
		name string
		text []byte
	}{{snapshotList, list.Bytes()}, {snapshotManifest, signed}} {
		if err := t.WriteHeader(&tar.Header{Name: last.name, Mode: 0o600, Size: int64(len(last.text)), Format: tar.FormatPAX}); err != nil {
			return err
		}
		if _, err := t.Write(last.text); err != nil {
			return err
		}
	}
	return t.Close()
}

// unpackSnapshot reads a snapshot, checks every checksum and, with a key, the signature, and puts the
// files into dir, which must not be there; with an empty dir they are only checked. Nothing in dir
// counts unless it returns no error. The manifest is returned as it is signed, too.
func unpackSnapshot(r io.Reader, dir string, key note.Verifier) (m *SnapshotInfo, signed []byte, err error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return nil, nil, err
	}
	defer z.Close()
	u := unpacking{dir: dir, tar: tar.NewReader(z)}
	for {
		header, err := u.tar.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = u.next(header)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read the snapshot behind %q: %w", u.name, err)
		}
	}
	m, err = u.end(key)
	return m, u.manifest, err
}

// unpacking is a snapshot that is being read.
type unpacking struct {
	dir      string
	tar      *tar.Reader
	name     string       // of the file that was read last
	list     bytes.Buffer // of the files as they are
	listed   []byte       // as the snapshot says
	manifest []byte
}

func (u *unpacking) next(header *tar.Header) (err error) {
	switch {
	case u.manifest != nil:
		return errors.New("something follows the manifest")
	case header.Typeflag != tar.TypeReg:
		return fmt.Errorf("%q is not a regular file", header.Name)
	case header.Name == snapshotManifest:
		u.manifest, err = readAtMost(u.tar, header.Size, snapshotNoteMax)
		return err
	case header.Name == snapshotList:
		u.listed, err = readAtMost(u.tar, header.Size, snapshotListMax)
		return err
	case u.listed != nil || !snapshotName(header.Name) || header.Name <= u.name:
		return fmt.Errorf("%q has no place in a snapshot", header.Name)
	}
	u.name = header.Name
	hash := blake3.New(32, nil)
	if err := u.write(header.Name, io.TeeReader(u.tar, hash)); err != nil {
		return err
	}
	fmt.Fprintf(&u.list, "%x %d %s\n", hash.Sum(nil), header.Size, header.Name)
	return nil
}

// snapshotName reports whether a snapshot may have a file of that name: one of the home's own, and no
// path that leads out of it.
func snapshotName(name string) bool {
	database, file, nested := strings.Cut(name, "/")
	if !nested {
		return name == "head" || name == storeMetaFile
	}
	return (database == "log" || database == "state") && file != "" && file != "." && file != ".." && !strings.ContainsAny(file, "/\\\n")
}

func readAtMost(r io.Reader, size, limit int64) ([]byte, error) {
	if size > limit {
		return nil, fmt.Errorf("%d bytes are more than the %d that it can have", size, limit)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

// write puts one file in its place, synced.
func (u *unpacking) write(name string, content io.Reader) error {
	if u.dir == "" {
		_, err := io.Copy(io.Discard, content)
		return err
	}
	path := filepath.Join(u.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Sync(), file.Close())
}

// end holds what was read against what the snapshot says.
func (u *unpacking) end(key note.Verifier) (*SnapshotInfo, error) {
	if u.manifest == nil || u.listed == nil {
		return nil, fmt.Errorf("it ends behind %q without its manifest: it is cut short", u.name)
	}
	m, err := openManifest(u.manifest, key)
	if err != nil {
		return nil, err
	}
	if blake3.Sum256(u.listed) != m.List {
		return nil, fmt.Errorf("%s: its checksum is not that of the manifest: it is damaged", snapshotList)
	}
	if !bytes.Equal(u.listed, u.list.Bytes()) {
		return nil, fmt.Errorf("%s: its checksum is wrong, or it is missing", firstDifference(u.listed, u.list.Bytes()))
	}
	if u.dir == "" {
		return m, nil
	}
	for _, folder := range []string{"log", "state", ""} {
		if err := syncDir(filepath.Join(u.dir, folder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return m, nil
}

// firstDifference names the first file whose line differs.
func firstDifference(listed, found []byte) string {
	have := strings.Split(string(found), "\n")
	for i, line := range strings.Split(string(listed), "\n") {
		if i >= len(have) || have[i] != line {
			return line[strings.LastIndexByte(line, ' ')+1:]
		}
	}
	return "a file that is not in the list"
}
