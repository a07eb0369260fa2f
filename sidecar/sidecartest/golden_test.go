package sidecartest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/model"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// goldenDir holds homes as releases have left them: NAME.tar.gz, and in NAME.json what is known of it.
const goldenDir = "testdata/homes"

// goldenHomes are the homes that have to be there. Homes of later releases are added; none is ever
// made again: what an old release wrote stays what it wrote.
var goldenHomes = []goldenHome{
	{Name: "1-blake3", Hash: merkle.Blake3, Seed: 1},
	{Name: "1-sha256", Hash: merkle.SHA256, Seed: 2},
	{Name: "1-epoch", Hash: merkle.Blake3, Seed: 3, Epoch: 1},
}

// goldenHome is what is known of a home.
type goldenHome struct {
	Name     string          `json:"name"`
	Hash     merkle.HashKind `json:"hash"`
	Seed     uint64          `json:"seed"`
	Epoch    uint64          `json:"epoch"`
	LogID    string          `json:"log_id"`
	Size     uint64          `json:"size"`
	Mark     uint64          `json:"mark"` // size of its newest checkpoint: a start replays what follows
	Root     string          `json:"root"`
	Balances []string        `json:"balances"` // account, asset, available, held
	Kinds    map[string]int  `json:"kinds"`
	Files    int             `json:"files"`
}

// steps are the requests that made the home.
func (g *goldenHome) steps() []Step {
	return Generate(Profile{
		Hash: g.Hash, Accounts: 6, Assets: 5, CheckpointEntries: 256, BatchMaxEntries: 64, Pipeline: 1, RandomNonces: g.Seed%2 == 0,
	}, g.Seed, 900)
}

// TestGoldenHomes opens every home that an earlier release has left: as a library, where its root,
// its size and all its balances have to be what is known, and with the program, which goes on from
// it. GOLDEN_HOMES=make makes those that are missing, which is done once for a release.
func TestGoldenHomes(t *testing.T) {
	for i := range goldenHomes {
		g := &goldenHomes[i]
		if _, err := os.Stat(g.path(".tar.gz")); errors.Is(err, fs.ErrNotExist) && os.Getenv("GOLDEN_HOMES") == "make" {
			makeGolden(t, g)
		}
		t.Run(g.Name, func(t *testing.T) {
			known := new(goldenHome)
			readJSON(t, g.path(".json"), known, true)
			t.Run("library", func(t *testing.T) { openGolden(t, known) })
			t.Run("program", func(t *testing.T) { continueGolden(t, known) })
		})
	}
}

func (g *goldenHome) path(extension string) string {
	return filepath.Join(goldenDir, g.Name+extension)
}

// openGolden holds a home against what is known of it.
func openGolden(t *testing.T, g *goldenHome) {
	home := filepath.Join(ShortDir(t), "h")
	if files := unpack(t, g.path(".tar.gz"), home); files != g.Files {
		t.Fatalf("%d files, want %d", files, g.Files)
	}
	s, err := store.Open(store.Options{Dir: home})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := CheckLedger(s); err != nil {
		t.Fatal(err)
	}
	tail, err := s.Last()
	if err != nil {
		t.Fatal(err)
	}
	if root := merkle.Hash(tail.Root).String(); tail.Size != g.Size || root != g.Root {
		t.Errorf("its size is %d and its root %s, want %d and %s", tail.Size, root, g.Size, g.Root)
	}
	if mark := s.Mark(); mark.Size != g.Mark || mark.Size == 0 || mark.Size >= g.Size {
		t.Errorf("its mark is at %d, want %d: a checkpoint, and a log that goes on behind it", mark.Size, g.Mark)
	}
	if meta := s.Meta(); fmt.Sprintf("%x", meta.LogID) != g.LogID || merkle.HashKind(meta.Hash) != g.Hash {
		t.Errorf("it is log %x of hash %d", meta.LogID, meta.Hash)
	}
	kinds := kindsOf(t, s)
	if fmt.Sprint(kinds) != fmt.Sprint(g.Kinds) {
		t.Errorf("its entries are %v, want %v", kinds, g.Kinds)
	}
	for _, kind := range wire.Kinds() {
		if kinds[kind.String()] == 0 {
			t.Errorf("it has no %s", kind)
		}
	}
}

// kindsOf counts the entries of a log by kind.
func kindsOf(t *testing.T, s *store.Store) map[string]int {
	t.Helper()
	kinds := map[string]int{}
	for commit, err := range s.Commits(1) {
		if err != nil {
			t.Fatal(err)
		}
		start := uint32(0)
		for _, end := range commit.Ends {
			kinds[wire.Record(commit.Records[start:end]).Entry().Kind().String()]++
			start = end
		}
	}
	return kinds
}

// continueGolden starts the program on a home, holds its balances against the known ones, appends,
// starts it again, and audits it.
func continueGolden(t *testing.T, g *goldenHome) {
	bin, home := Build(t), filepath.Join(ShortDir(t), "h")
	unpack(t, g.path(".tar.gz"), home)
	env := []string{"RON_LEDGER_GOVERNANCE_REVERSALS=require-capability", "RON_LEDGER_ACCUMULATOR_HASH=" + g.Hash.String()}
	p := StartProcessEnv(t, bin, home, env)
	c := dialHome(t, p)
	if welcome := c.Welcome(); welcome.Head.Size != g.Size || merkle.Hash(welcome.Head.Root).String() != g.Root {
		t.Errorf("it opens at %d under %s, want %d and %s", welcome.Head.Size, merkle.Hash(welcome.Head.Root), g.Size, g.Root)
	}
	if got := balancesOf(t, c); !slices.Equal(got, g.Balances) {
		t.Errorf("balances\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(g.Balances, "\n"))
	}
	var again client.Batch
	for i := range 40 {
		f := wire.Fields{Kind: wire.KindMint, Account: "later", Amount: wire.AmountOf(uint64(i + 1)), Nonce: wire.Nonce{0: 0xff, 15: byte(i)}, Timestamp: 1_700_000_000_000}
		if err := again.Add(&f); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []uint64{g.Size + 40, g.Size + 40} { // new, then known
		result, err := c.Append(t.Context(), &again)
		if err != nil || result.Size != want {
			t.Fatalf("append: %+v, %v; want a size of %d", result, err, want)
		}
	}
	p.Kill()
	p = StartProcessEnv(t, bin, home, env)
	if welcome := dialHome(t, p).Welcome(); welcome.Head.Size != g.Size+40 {
		t.Errorf("started again it has %d entries, want %d", welcome.Head.Size, g.Size+40)
	}
	if exit := p.Stop(); exit != 0 {
		t.Errorf("SIGTERM: exit status %d\n%s", exit, p.Output())
	}
	CheckHome(t, home)
}

func dialHome(t *testing.T, p *Process) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), client.Options{Socket: filepath.Join(p.Home, "ledger.sock"), TokenFile: filepath.Join(p.Home, "token")})
	if err != nil {
		t.Fatalf("%v\n%s", err, p.Output())
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// balancesOf lists all balances, one a line.
func balancesOf(t *testing.T, c *client.Client) (lines []string) {
	t.Helper()
	for b, err := range c.Accounts(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s", b.Account, b.Asset, b.Available, b.Held))
	}
	return lines
}

// makeGolden makes a home with the program as it is now: the keys and the token of the vectors, the
// requests that the seed draws, with their answers held against the model, and SIGKILL behind a
// checkpoint and more.
func makeGolden(t *testing.T, g *goldenHome) {
	t.Helper()
	f, bin, home := readFixture(t), Build(t), filepath.Join(ShortDir(t), "h")
	for name, from := range map[string]string{"keyring": f.Keyring, "token": f.Token} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.MkdirAll(home, 0o700), os.WriteFile(filepath.Join(home, name), text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{
		"RON_LEDGER_GOVERNANCE_REVERSALS=require-capability", "RON_LEDGER_ACCUMULATOR_LOG_ID=" + f.Config["accumulator.log_id"],
		"RON_LEDGER_ACCUMULATOR_HASH=" + g.Hash.String(), "RON_LEDGER_CHECKPOINT_INTERVAL_ENTRIES=256", "RON_LEDGER_STORE_MEMTABLE_BYTES=256KiB",
	}
	p := StartProcessEnv(t, bin, home, env)
	ledger := tellGolden(t, dialHome(t, p), g.steps())
	head := dialHome(t, p).Welcome().Head
	if head.Size != ledger.Size() {
		t.Fatalf("%d entries, the model has %d", head.Size, ledger.Size())
	}
	time.Sleep(200 * time.Millisecond) // the last checkpoint under way
	p.Kill()
	if g.Epoch > 0 {
		epoch := sidecar.NewEpoch{Size: head.Size, LogID: [16]byte{0: 2, 15: 2}, TimeMs: 1_700_000_000_000, Reason: "a golden home"}
		if _, err := sidecar.BeginEpoch(home, epoch); err != nil {
			t.Fatal(err)
		}
		env[1] = "RON_LEDGER_ACCUMULATOR_LOG_ID="
		p = StartProcessEnv(t, bin, home, env[2:])
		var b client.Batch
		if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "behind", Amount: wire.AmountOf(1), Nonce: wire.Nonce{1}}); err != nil {
			t.Fatal(err)
		}
		if _, err := dialHome(t, p).Append(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		p.Kill()
	}
	pack(t, home, g.path(".tar.gz"))
	describeGolden(t, bin, home, env, g)
}

// tellGolden sends the requests of the steps and holds each answer against the model.
func tellGolden(t *testing.T, c *client.Client, steps []Step) *model.Ledger {
	t.Helper()
	ledger := model.New()
	for i := range steps {
		r := steps[i].Request
		if r == nil {
			continue
		}
		var b client.Batch
		b.Atomic, b.IdemID = r.Atomic, r.IdemID
		whole := true
		for j := range r.Entries {
			whole = whole && b.Add(&r.Entries[j]) == nil
		}
		if !whole { // it has an entry that the client does not send
			continue
		}
		want := ledger.Append(r)
		got, err := c.Append(t.Context(), &b)
		if err != nil || got.Accepted != want.Accepted || got.First != want.First {
			t.Fatalf("step %d: %+v, %v; want %+v", i, got, err, want)
		}
	}
	return ledger
}

// describeGolden writes what is known of a home that was packed.
func describeGolden(t *testing.T, bin Binaries, home string, env []string, g *goldenHome) {
	t.Helper()
	s, err := store.Open(store.Options{Dir: copyHome(t, home)})
	if err != nil {
		t.Fatal(err)
	}
	tail, err := s.Last()
	if err != nil {
		t.Fatal(err)
	}
	g.Size, g.Root, g.Mark, g.LogID = tail.Size, merkle.Hash(tail.Root).String(), s.Mark().Size, fmt.Sprintf("%x", s.Meta().LogID)
	g.Kinds = kindsOf(t, s)
	if err := errors.Join(CheckLedger(s), s.Close()); err != nil {
		t.Fatal(err)
	}
	g.Files = unpack(t, g.path(".tar.gz"), filepath.Join(ShortDir(t), "h"))
	p := StartProcessEnv(t, bin, copyHome(t, home), env[2:])
	g.Balances = balancesOf(t, dialHome(t, p))
	text, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.path(".json"), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pack writes the files of a home into an archive.
func pack(t *testing.T, home, path string) {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	err := filepath.WalkDir(home, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(home, file)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o600, Size: int64(len(text)), Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err = archive.Write(text)
		return err
	})
	if err := errors.Join(err, archive.Close(), zipped.Close(), os.MkdirAll(filepath.Dir(path), 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Log("made " + path + ", bytes: " + strconv.Itoa(packed.Len()))
}

// unpack makes a home of an archive and returns how many files it has.
func unpack(t *testing.T, path, home string) (files int) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatalf("a golden home is missing: %v", err)
	}
	defer func() { _ = file.Close() }()
	zipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(zipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		into := filepath.Join(home, filepath.FromSlash(header.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(into), 0o700), os.WriteFile(into, text, 0o600)); err != nil {
			t.Fatal(err)
		}
		files++
	}
}
