// Package interop holds what ron-ledger exports against tools that nobody here wrote:
// Tessera's fsck and client, and the verifier of transparency-dev/merkle.
package interop

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

// ledger is a running sidecar with SHA-256, built from this checkout.
type ledger struct {
	t         *testing.T
	bin, home string
	key       note.Verifier
	appended  int
}

func startLedger(t *testing.T) *ledger {
	t.Helper()
	home, err := os.MkdirTemp("", "rl") // a path short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	l := &ledger{t: t, bin: t.TempDir(), home: filepath.Join(home, "home")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", l.bin+"/", "./sidecar/ron-ledgerd", "./tools/ledgerctl")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	daemon := exec.Command(filepath.Join(l.bin, "ron-ledgerd"), "--home", l.home, "--https", "127.0.0.1:0")
	daemon.Env = append(os.Environ(), "RON_LEDGER_ACCUMULATOR_HASH=sha256", "RON_LEDGER_LOG_LEVEL=error")
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		if err := daemon.Wait(); err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := l.try("status"); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the sidecar does not answer: %v", err)
		}
	}
	line, err := os.ReadFile(filepath.Join(l.home, "node.vkey"))
	if err == nil {
		l.key, err = note.NewVerifier(strings.TrimSpace(string(line)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *ledger) try(args ...string) ([]byte, error) {
	out, err := exec.CommandContext(l.t.Context(), filepath.Join(l.bin, "ledgerctl"), append(args, "--home", l.home)...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ledgerctl %v: %w\n%s", args, err, out)
	}
	return out, nil
}

func (l *ledger) run(args ...string) []byte {
	l.t.Helper()
	out, err := l.try(args...)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// append books n entries.
func (l *ledger) append(n int) {
	l.t.Helper()
	var b bytes.Buffer
	for range n {
		l.appended++
		fmt.Fprintf(&b, `{"kind":"Mint","account":"a","amount":%d,"nonce":"%032x"}`+"\n", l.appended, l.appended)
	}
	path := filepath.Join(l.t.TempDir(), "entries.jsonl")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.run("append", path)
}

func (l *ledger) export(name string) string {
	l.t.Helper()
	dir := filepath.Join(l.t.TempDir(), name)
	l.run("export", "--format", "tlog-tiles", "--out", dir)
	return dir
}

// leaves hashes the records of a bundle: each behind its length, as C2SP tlog-tiles has it.
func leaves(bundle []byte) (hashes [][]byte, err error) {
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
			return nil, fmt.Errorf("the bundle ends amid a record")
		}
		n := 2 + int(binary.BigEndian.Uint16(bundle))
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(bundle[2:n]))
		bundle = bundle[n:]
	}
	return hashes, nil
}

func (l *ledger) fsck(dir string) error {
	return fsck.New(l.key.Name(), l.key, client.FileFetcher{Root: dir}, leaves, fsck.Opts{N: 2}).Check(l.t.Context())
}

// TestTesseraFsck has Tessera check an export, and every export with one bit changed
// anywhere in the tiles, the bundles or the signed part of the checkpoint.
func TestTesseraFsck(t *testing.T) {
	l := startLedger(t)
	for _, n := range []int{1, 255, 1, 343} { // 1, 256, 257, 600 entries
		l.append(n)
		if err := l.fsck(l.export("site")); err != nil {
			t.Errorf("%d entries: %v", l.appended, err)
		}
	}
	dir := l.export("damaged")
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for at := 0; at < len(text); at += max(1, len(text)/7) {
			text[at] ^= 4
			if err := os.WriteFile(path, text, 0o600); err != nil {
				return err
			}
			if l.fsck(dir) == nil {
				t.Errorf("a bit of byte %d of %s is not noticed", at, strings.TrimPrefix(path, dir))
			}
			text[at] ^= 4
		}
		return os.WriteFile(path, text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.fsck(dir); err != nil {
		t.Errorf("with every bit as it was: %v", err)
	}
}

// TestTesseraClient follows the log with Tessera's client from one export to the next,
// builds proofs from the tiles, and holds the receipts of the sidecar against them.
func TestTesseraClient(t *testing.T) {
	ctx := context.Background()
	l := startLedger(t)
	l.append(300)
	first := client.FileFetcher{Root: l.export("first")}
	raw, err := first.ReadCheckpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	l.append(400)
	second := client.FileFetcher{Root: l.export("second")}
	tracker, err := client.NewLogStateTracker(ctx, second.ReadTile, raw, l.key, l.key.Name(), client.UnilateralConsensus(second.ReadCheckpoint))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := tracker.Update(ctx); err != nil {
		t.Fatalf("from 300 to 700 entries: %v", err)
	}
	latest := tracker.Latest()
	if latest.Size != 700 {
		t.Fatalf("the tracker is at size %d", latest.Size)
	}
	builder, err := client.NewProofBuilder(ctx, latest.Size, second.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 2, 256, 257, 512, 513, 699, 700} {
		receipt := strings.Split(string(l.run("receipt", fmt.Sprint(seq))), "\n")
		record, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(receipt[1], "extra "))
		if err != nil {
			t.Fatal(err)
		}
		built, err := builder.InclusionProof(ctx, seq-1)
		if err != nil {
			t.Fatal(err)
		}
		var given [][]byte
		for _, line := range receipt[3:] {
			if line == "" {
				break
			}
			hash, err := base64.StdEncoding.DecodeString(line)
			if err != nil {
				t.Fatal(err)
			}
			given = append(given, hash)
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(record)
		for name, hashes := range map[string][][]byte{"built from the tiles": built, "of the receipt": given} {
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, seq-1, latest.Size, leaf, hashes, latest.Hash); err != nil {
				t.Errorf("entry %d, the proof %s: %v", seq, name, err)
			}
		}
		for i := range given {
			given[i][7] ^= 1
			if proof.VerifyInclusion(rfc6962.DefaultHasher, seq-1, latest.Size, leaf, given, latest.Hash) == nil {
				t.Errorf("entry %d: a bit of hash %d is not noticed", seq, i)
			}
			given[i][7] ^= 1
		}
	}
}
