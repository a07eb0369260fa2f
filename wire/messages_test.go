package wire

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
)

// TestOverlongFieldsAreRefused holds that a string that does not fit its length
// field makes a message that is refused, never one that is misread.
func TestOverlongFieldsAreRefused(t *testing.T) {
	long := func(n int) []byte { return bytes.Repeat([]byte("a"), n) }
	for name, row := range map[string]struct {
		written, read message
	}{
		"client name":   {&Hello{MinVersion: 1, MaxVersion: 1, Client: string(long(65))}, new(Hello)},
		"client of 256": {&Hello{MinVersion: 1, MaxVersion: 1, Client: string(long(256))}, new(Hello)},
		"token":         {&Hello{MinVersion: 1, MaxVersion: 1, Token: long(4097)}, new(Hello)},
		"token of 64 K": {&Auth{Token: long(1 << 16)}, new(Auth)},
		"server name":   {&Welcome{Version: 1, ServerName: string(long(300))}, new(Welcome)},
		"rights":        {&Welcome{Version: 1, Rights: make([]string, 256)}, new(Welcome)},
		"right":         {&Welcome{Version: 1, Rights: []string{string(long(1 << 16))}}, new(Welcome)},
		"account":       {&AccountRequest{Name: long(256)}, new(AccountRequest)},
		"prefix":        {&AccountRequest{Listing: true, Prefix: long(512)}, new(AccountRequest)},
		"identity":      {&EntriesRequest{Account: long(257)}, new(EntriesRequest)},
	} {
		if fault := row.read.Decode(row.written.Append(nil)); fault.Reason != ReasonMalformed {
			t.Errorf("%s: %v", name, fault)
		}
	}
}

func TestDetailsAreMadeFitToShow(t *testing.T) {
	detail := "first\x1b[31m\n" + strings.Repeat("é", 400)
	written := ErrorMessage{Reason: ReasonInternal, Detail: detail}
	var read ErrorMessage
	if fault := read.Decode(written.Append(nil)); !fault.OK() {
		t.Fatal(fault)
	}
	if len(read.Detail) != MaxDetailLength || !strings.HasPrefix(read.Detail, "first?[31m???") {
		t.Errorf("%d bytes: %q", len(read.Detail), read.Detail)
	}
	if read.Error() != "internal: "+read.Detail {
		t.Errorf("as an error: %q", read.Error())
	}
	appended := AppendAppended(nil, &Appended{Results: []EntryResult{{Outcome: OutcomeRejected, Reason: ReasonConflict, Detail: detail}}})
	var view AppendedView
	if fault := view.Decode(appended); !fault.OK() {
		t.Fatal(fault)
	}
	for r := range view.Results() {
		if r.Detail != read.Detail {
			t.Errorf("%d bytes: %q", len(r.Detail), r.Detail)
		}
	}
}

// sampleAppended has n results and n balances.
func sampleAppended(n int) *Appended {
	a := &Appended{First: 7, Last: 8, Size: 8, Accepted: 2}
	for i := range n {
		a.Results = append(a.Results,
			EntryResult{Index: uint32(2 * i), Outcome: OutcomeDuplicate, Seq: uint64(i + 1)},
			EntryResult{Index: uint32(2*i + 1), Outcome: OutcomeRejected, Reason: ReasonMalformed, Offset: 32, Detail: "amount is zero"})
		a.Balances = append(a.Balances, Balance{Account: []byte("acct_a"), Asset: Asset{'E'}, Available: AmountOf(uint64(i)), Held: MaxAmount})
	}
	return a
}

func TestAppendedComesBack(t *testing.T) {
	want := sampleAppended(5)
	var view AppendedView
	if fault := view.Decode(AppendAppended(nil, want)); !fault.OK() {
		t.Fatal(fault)
	}
	if got := slices.Collect(view.Results()); !slices.Equal(got, want.Results) || view.ResultCount != 10 {
		t.Errorf("results: %+v", got)
	}
	same := func(a, b Balance) bool {
		return string(a.Account) == string(b.Account) && a.Asset == b.Asset && a.Available == b.Available && a.Held == b.Held
	}
	if got := slices.Collect(view.Balances()); !slices.EqualFunc(got, want.Balances, same) {
		t.Errorf("balances: %+v", got)
	}
	for range view.Results() {
		break // an iterator can be left
	}
}

func TestAnswerRows(t *testing.T) {
	record := Record((&Stamp{KeyID: [8]byte{9}}).Append(entryOfSize(t, 200)))
	rows := AppendEntriesRow(nil, EntriesRow{Seq: 5, TimeMs: 77, Record: record})
	rows = AppendEntriesRow(rows, EntriesRow{Seq: 6, TimeMs: 78, Record: record})
	var entries EntriesAnswer
	if fault := entries.Decode((&EntriesAnswer{Size: 6, Oldest: 1, Count: 2, Rows: rows}).Append(nil)); !fault.OK() {
		t.Fatal(fault)
	}
	seq := uint64(5)
	for row := range entries.All() {
		if row.Seq != seq || row.TimeMs != int64(72+seq) || !bytes.Equal(row.Record, record) {
			t.Errorf("row %+v", row)
		}
		seq++
	}
	var account AccountAnswer
	row := Balance{Account: []byte("a"), Available: AmountOf(3)}
	if fault := account.Decode((&AccountAnswer{Known: true, Count: 1, Rows: AppendBalance(nil, &row)}).Append(nil)); !fault.OK() {
		t.Fatal(fault)
	}
	if got := slices.Collect(account.All()); len(got) != 1 || string(got[0].Account) != "a" || got[0].Available != row.Available {
		t.Errorf("rows %+v", got)
	}
}

// TestDecodeTakesNoMemoryForALie decodes counts that the payload cannot hold.
func TestDecodeTakesNoMemoryForALie(t *testing.T) {
	answer := RootsAnswer{Roots: []Head{{Size: 1}}}
	lie := answer.Append(nil)
	copy(lie[8:], []byte{0xff, 0xff, 0xff, 0xff})
	var m RootsAnswer
	if n := testing.AllocsPerRun(10, func() {
		if m.Decode(lie).OK() {
			t.Fatal("accepted")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMessageAllocations(t *testing.T) {
	sample := sampleAppended(20)
	dst := make([]byte, 0, 64<<10)
	payload := AppendAppended(nil, &Appended{Size: 3, Balances: sample.Balances})
	request := entriesPayload(t, 16)
	var sum uint64
	for name, f := range map[string]func(){
		"AppendAppended": func() { dst = AppendAppended(dst[:0], sample) },
		"AppendedView": func() {
			var view AppendedView
			if fault := view.Decode(payload); !fault.OK() {
				t.Fatal(fault)
			}
			for b := range view.Balances() {
				sum += b.Available.Lo
			}
		},
		"AppendRequest": func() {
			var m AppendRequest
			if fault := m.Decode(request); !fault.OK() {
				t.Fatal(fault)
			}
		},
		"frame": func() {
			dst = AppendFrameHeader(dst[:0], FrameHeader{Type: FrameAppended, RequestID: 5})
			dst = AppendAppended(dst, sample)
			FinishFrame(dst, 0)
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzMessages holds, for every decoder, that what it accepts encodes to the same
// bytes.
func FuzzMessages(f *testing.F) {
	names := slices.Sorted(maps.Keys(newMessages))
	for _, v := range loadGolden(f) {
		if at := slices.Index(names, v.What); at >= 0 {
			f.Add(uint8(at), v.bytes(f))
		}
	}
	f.Fuzz(func(t *testing.T, at uint8, payload []byte) {
		make := newMessages[names[int(at)%len(names)]]
		m := make()
		checkMessageIdentity(t, m, make(), payload)
		if answer, ok := m.(*EntriesAnswer); ok {
			for row := range answer.All() {
				_ = row.Record.Entry().Fields()
			}
		}
	})
}
