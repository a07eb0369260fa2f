package stream

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

var testLog = [16]byte{0xab, 1}

// commitOf makes a commit of entries from first on, each with a memo of that length.
func commitOf(t *testing.T, first uint64, count, memo int) *store.Commit {
	t.Helper()
	c := &store.Commit{First: first, Count: count, TimeMs: 1_728_794_183_999, Root: [32]byte{9, byte(first)}}
	for i := range count {
		entry, fault := wire.AppendEntry(nil, &wire.Fields{
			Kind: wire.KindMint, Account: fmt.Sprintf("acct/%d", i), Amount: wire.AmountOf(uint64(i) + 1), Nonce: wire.Nonce{15: byte(i), 14: byte(i >> 8), 13: byte(first)},
			Memo: []byte(strings.Repeat("m", memo)),
		})
		if !fault.OK() {
			t.Fatal(fault)
		}
		c.Records = append(append(c.Records, entry...), make([]byte, 24)...)
		c.Ends = append(c.Ends, uint32(len(c.Records)))
	}
	return c
}

// golden is what others read: a member more or less, or another order, is another format.
func TestMessageIsGolden(t *testing.T) {
	c := commitOf(t, 1001, 2, 3)
	root := fmt.Sprintf("09e9%060d", 0)
	head := `{"log":"ab010000000000000000000000000000","seq":1001,"size":1002,"root":"` + root + `","ts":1728794183999`
	if m := headOf(testLog, 1001, c); string(m.body) != head+"}" || m.id != "ab010000000000000000000000000000-1001" || m.next != 1003 {
		t.Errorf("%s, %s, %d", m.body, m.id, m.next)
	}
	m, err := withEntries(testLog, 1002, c, payloadMin)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(head, `"seq":1001`, `"seq":1002`, 1) + `,"entries":[{"seq":1002,"kind":"Mint","account":"acct/1","amount":"2",` +
		`"nonce":"00000000-0000-0000-0000-000000e90001","ts":0,"memo":"mmm","time":"2024-10-13T04:36:23.999Z","capability":"00000000000000000000000000000000","kid":"0000000000000000"}]}`
	if string(m.body) != want || m.next != 1003 {
		t.Errorf("got  %s\nwant %s", m.body, want)
	}
}

// The entries of a commit come whole and in order, in as many messages as it takes; where one ends the next
// position is, and it is what the server is asked for.
func TestEntriesInSeveralMessages(t *testing.T) {
	c := commitOf(t, 501, 300, 700)
	seq, messages := c.First, 0
	for next := c.First; next <= c.Last(); messages++ {
		m, err := withEntries(testLog, next, c, payloadMin)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.body) > payloadMin {
			t.Fatalf("%d bytes, at most %d are taken", len(m.body), payloadMin)
		}
		var told struct {
			Seq, Size uint64
			Entries   []struct{ Seq uint64 }
		}
		if err := json.Unmarshal(m.body, &told); err != nil {
			t.Fatal(err)
		}
		if told.Seq != next || told.Size != c.Last() || len(told.Entries) == 0 {
			t.Fatalf("%+v at %d", told, next)
		}
		for _, e := range told.Entries {
			if e.Seq != seq {
				t.Fatalf("entry %d comes where %d should", e.Seq, seq)
			}
			seq++
		}
		at, err := parsePosition(m.body)
		if err != nil || at.Next != m.next || at.Next != seq || at.Size != c.Last() || at.Root != c.Root || at.Log != testLog {
			t.Fatalf("%+v, %v; want %d", at, err, m.next)
		}
		next = m.next
	}
	if seq != c.Last()+1 || messages < 10 {
		t.Errorf("%d entries in %d messages", seq-c.First, messages)
	}
}

// The largest entry there is fits into the least that a server has to take.
func TestLargestEntryFits(t *testing.T) {
	e := wire.Fields{
		Kind: wire.KindTransfer, Account: strings.Repeat("a", 128), Counterparty: strings.Repeat("b", 128), Nonce: wire.Nonce{1},
		Amount: wire.Amount{Lo: 1<<64 - 1, Hi: 1<<64 - 1}, Memo: []byte(strings.Repeat("\x01", 1024)), Timestamp: -1 << 62,
	}
	entry, fault := wire.AppendEntry(nil, &e)
	if !fault.OK() {
		t.Fatal(fault)
	}
	c := &store.Commit{First: 1 << 62, Count: 1, Records: append(entry, make([]byte, 24)...)}
	c.Ends = []uint32{uint32(len(c.Records))}
	if m, err := withEntries(testLog, c.First, c, payloadMin); err != nil || len(m.body)+headerRoom > payloadMin {
		t.Errorf("%d bytes, %v", len(m.body), err)
	}
}

func TestPositionOfSomethingElse(t *testing.T) {
	c := commitOf(t, 1, 2, 3)
	good := string(headOf(testLog, 1, c).body)
	for name, body := range map[string]string{
		"no JSON":           "hello",
		"another object":    `{"order":17}`,
		"another member":    strings.Replace(good, `"seq"`, `"x":1,"seq"`, 1),
		"a short log id":    strings.Replace(good, "ab01", "ab", 1),
		"a short root":      strings.Replace(good, `"root":"09`, `"root":"`, 1),
		"seq zero":          strings.Replace(good, `"seq":1`, `"seq":0`, 1),
		"seq behind size":   strings.Replace(good, `"seq":1`, `"seq":3`, 1),
		"no entries":        good[:len(good)-1] + `,"entries":[]}`,
		"too many entries":  good[:len(good)-1] + `,"entries":[{},{},{}]}`,
		"nothing":           "",
		"size is no number": strings.Replace(good, `"size":2`, `"size":"2"`, 1),
	} {
		if at, err := parsePosition([]byte(body)); err == nil {
			t.Errorf("%s: %+v", name, at)
		}
	}
	if at, err := parsePosition([]byte(good)); err != nil || at.Next != 3 {
		t.Errorf("%+v, %v", at, err)
	}
}

func TestResume(t *testing.T) {
	before, genesis, other := [16]byte{2}, [16]byte{3}, [16]byte{4}
	roots := map[uint64][32]byte{10: {10}, 20: {20}}
	rootAt := func(size uint64) ([32]byte, bool, error) {
		root, known := roots[size]
		return root, known, nil
	}
	o := Origins{Log: testLog, Genesis: genesis, Before: before, Cut: 12}
	for name, tc := range map[string]struct {
		o    Origins
		at   Position
		want uint64
		says string
	}{
		"where the stream is":            {o, Position{testLog, 11, 10, roots[10]}, 11, ""},
		"amid a commit":                  {o, Position{testLog, 15, 20, roots[20]}, 15, ""},
		"the root is not known":          {o, Position{testLog, 6, 5, [32]byte{1}}, 6, ""},
		"another root":                   {o, Position{testLog, 11, 10, roots[20]}, 0, "another history"},
		"the stream has more":            {o, Position{testLog, 31, 30, [32]byte{}}, 0, "entries are lost here"},
		"the epoch before, before cut":   {o, Position{before, 9, 8, [32]byte{}}, 9, ""},
		"the epoch before, at its cut":   {o, Position{before, 13, 12, [32]byte{}}, 13, ""},
		"the epoch before, what is lost": {o, Position{before, 19, 18, [32]byte{}}, 13, ""},
		"epochs ago":                     {o, Position{genesis, 9, 8, [32]byte{}}, 1, ""},
		"another ledger":                 {o, Position{other, 9, 8, [32]byte{}}, 0, "a subject of its own"},
		"the micronode before":           {Origins{Log: testLog, Volatile: true}, Position{other, 9, 8, [32]byte{}}, 1, ""},
		"a first epoch, another log":     {Origins{Log: testLog, Genesis: testLog}, Position{[16]byte{}, 9, 8, [32]byte{}}, 0, "a subject of its own"},
	} {
		next, err := tc.o.resume(tc.at, 20, rootAt)
		if next != tc.want || (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %d, %v", name, next, err)
		}
	}
}
