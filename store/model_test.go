package store

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// ledger makes commits for a store and remembers them: the independent model of what the log holds.
type ledger struct {
	rng     *rand.Rand
	size    uint64
	commits []*Commit
}

func newLedger(seed uint64) *ledger {
	return &ledger{rng: rand.New(rand.NewPCG(seed, 7))}
}

// entry appends one entry of size bytes with its stamp; its content depends on seq and the generator.
func (l *ledger) entry(dst []byte, size int, seq uint64) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, size+stampBytes)...)
	b := dst[start:]
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], l.rng.Uint64())
	}
	binary.LittleEndian.PutUint16(b, uint16(size))
	b[2], b[3], b[4], b[5] = 1, 4, 6, 0
	nonce := nonceOf(seq)
	copy(b[16:], nonce[:])
	copy(b[72:], "acct_a")
	return dst
}

func nonceOf(seq uint64) (n [16]byte) {
	binary.BigEndian.PutUint64(n[:], seq/3) // neighbours share their time, as in UUIDv7
	binary.BigEndian.PutUint64(n[8:], seq*0x9e3779b97f4a7c15)
	return n
}

func rootOf(seq uint64) (r [32]byte) {
	binary.LittleEndian.PutUint64(r[:], seq*0x2545f4914f6cdd1d)
	r[31] = 1
	return r
}

// commit makes the next commit of count entries of size bytes and takes note of it.
func (l *ledger) commit(count, size int) *Commit {
	c := &Commit{First: l.size + 1, Count: count, TimeMs: 1_700_000_000_000 + int64(l.size)}
	for i := range count {
		c.Records = l.entry(c.Records, size, c.First+uint64(i))
		c.Ends = append(c.Ends, uint32(len(c.Records)))
	}
	if count > 3 {
		c.Groups = []Group{{First: c.First + 1, Count: 2}, {First: c.First + 3, Count: uint32(count - 3)}}
		c.Groups[1].IdemID = nonceOf(c.First)
	}
	c.Root = rootOf(c.Last())
	l.size = c.Last()
	l.commits = append(l.commits, c)
	return c
}

// randomCommit makes a commit of a random shape.
func (l *ledger) randomCommit(maxCount int) *Commit {
	return l.commit(1+l.rng.IntN(maxCount), 80+8*l.rng.IntN(20))
}

// checkpoint makes the checkpoint from the size before to that of the last commit in l.
func (l *ledger) checkpoint(before uint64) *Checkpoint {
	c := &Checkpoint{Mark: Mark{
		Size: l.size, Root: rootOf(l.size), NextAccount: 2, Frontier: [][32]byte{rootOf(1), rootOf(l.size)},
	}}
	for seq := before + 1; seq <= l.size; seq++ {
		c.Index = append(c.Index, Indexed{Identity{nonceOf(seq), 1}, seq})
	}
	for _, commit := range l.commits {
		if commit.First > before {
			c.Roots = append(c.Roots, RootRow{Seq: commit.Last(), Root: commit.Root, TimeMs: commit.TimeMs})
			for _, g := range commit.Groups {
				if g.IdemID != [16]byte{} {
					c.Requests = append(c.Requests, RequestRow{g.IdemID, g.First, g.Count})
				}
			}
		}
	}
	c.Accounts = []AccountRow{{[]byte("acct_a"), 1}}
	c.Balances = []BalanceRow{{Name: []byte("acct_a"), Available: u128(l.size)}}
	c.Supplies = []SupplyRow{{Supply: u128(l.size)}}
	return c
}

func u128(n uint64) (b [16]byte) {
	binary.LittleEndian.PutUint64(b[:], n)
	return b
}

// open opens a store whose Fatal fails the test.
func open(t testing.TB, o Options) *Store {
	t.Helper()
	if o.Fatal == nil {
		o.Fatal = func(msg string) {
			t.Errorf("fatal: %s", msg)
			runtime.Goexit()
		}
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustAppend(t testing.TB, s *Store, c *Commit) {
	t.Helper()
	if err := s.Append(c); err != nil {
		t.Fatal(err)
	}
}

func mustCheckpoint(t testing.TB, s *Store, c *Checkpoint) {
	t.Helper()
	if err := s.Checkpoint(c); err != nil {
		t.Fatal(err)
	}
}

// checkLog compares the whole log with the commits that it must hold, by both ways of reading it.
func checkLog(t testing.TB, s *Store, want []*Commit) {
	t.Helper()
	i := 0
	for c, err := range s.Commits(0) {
		if err != nil {
			t.Fatal(err)
		}
		if i == len(want) {
			t.Fatalf("the log holds a commit at %d too many", c.First)
		}
		equalCommit(t, c, want[i])
		i++
	}
	if i != len(want) {
		t.Fatalf("the log holds %d commits instead of %d", i, len(want))
	}
	var all []byte
	for r, err := range s.Records(0, ^uint64(0)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Bytes...)
	}
	for _, c := range want {
		if !bytes.HasPrefix(all, c.Records) {
			t.Fatalf("records of the commit at %d differ", c.First)
		}
		all = all[len(c.Records):]
	}
}

func equalCommit(t testing.TB, got, want *Commit) {
	t.Helper()
	if got.First != want.First || got.Count != want.Count || got.Root != want.Root || got.TimeMs != want.TimeMs ||
		!bytes.Equal(got.Records, want.Records) || len(got.Groups) != len(want.Groups) || len(got.Ends) != len(want.Ends) {
		t.Fatalf("commit at %d (%d records) differs from the one at %d (%d records)", got.First, got.Count, want.First, want.Count)
	}
	for i, g := range want.Groups {
		if got.Groups[i] != g {
			t.Fatalf("group %d of the commit at %d is %+v instead of %+v", i, want.First, got.Groups[i], g)
		}
	}
	for i, end := range want.Ends {
		if got.Ends[i] != end {
			t.Fatalf("end %d of the commit at %d is %d instead of %d", i, want.First, got.Ends[i], end)
		}
	}
}

func newSeed(t testing.TB) uint64 {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return seed
}
