package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// goldenVector is one case of testdata/golden.json, which testdata/generate.go
// makes without this package.
type goldenVector struct {
	Name, What, Meaning, Hex, Reason string
	Offset                           int
}

func (v *goldenVector) bytes(t testing.TB) []byte {
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return b
}

func (v *goldenVector) check(t *testing.T, fault Fault) {
	t.Helper()
	if v.Reason == "" {
		if !fault.OK() {
			t.Errorf("good bytes are refused: %v", fault)
		}
		return
	}
	if fault.OK() || fault.Reason.String() != v.Reason || fault.Offset != v.Offset {
		t.Errorf("fault is %v, want %s at byte %d", fault, v.Reason, v.Offset)
	}
}

func loadGolden(t testing.TB) (vectors []goldenVector) {
	loadJSON(t, "testdata/golden.json", &vectors)
	return vectors
}

func loadJSON(t testing.TB, path string, into any) {
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// message is what every message has.
type message interface {
	Append(dst []byte) []byte
	Decode(payload []byte) Fault
}

// newMessages makes an empty message by its name in golden.json.
var newMessages = map[string]func() message{
	"hello":           func() message { return new(Hello) },
	"welcome":         func() message { return new(Welcome) },
	"auth":            func() message { return new(Auth) },
	"ok":              func() message { return new(OK) },
	"append":          func() message { return new(AppendRequest) },
	"appended":        func() message { return new(appendedMessage) },
	"roots":           func() message { return new(Roots) },
	"roots_answer":    func() message { return new(RootsAnswer) },
	"entries":         func() message { return new(EntriesRequest) },
	"entries_answer":  func() message { return new(EntriesAnswer) },
	"account":         func() message { return new(AccountRequest) },
	"account_answer":  func() message { return new(AccountAnswer) },
	"prove":           func() message { return new(Prove) },
	"prove_answer":    func() message { return new(ProveAnswer) },
	"status":          func() message { return new(Status) },
	"status_answer":   func() message { return new(StatusAnswer) },
	"watch":           func() message { return new(Watch) },
	"watch_answer":    func() message { return new(WatchAnswer) },
	"error":           func() message { return new(ErrorMessage) },
	"snapshot":        func() message { return new(Snapshot) },
	"admin":           func() message { return new(Admin) },
	"snapshot_answer": func() message { return new(SnapshotAnswer) },
	"admin_answer":    func() message { return new(AdminAnswer) },
}

// appendedMessage joins the two halves of APPENDED, which is written from slices
// and read in place.
type appendedMessage struct{ AppendedView }

func (m *appendedMessage) Append(dst []byte) []byte {
	a := Appended{First: m.First, Last: m.Last, Size: m.Size, Root: m.Root, Accepted: m.Accepted}
	for r := range m.Results() {
		a.Results = append(a.Results, r)
	}
	for b := range m.Balances() {
		a.Balances = append(a.Balances, b)
	}
	return AppendAppended(dst, &a)
}

func TestGolden(t *testing.T) {
	seen := map[string]int{}
	for _, v := range loadGolden(t) {
		t.Run(v.Name, func(t *testing.T) {
			seen[v.What]++
			b := v.bytes(t)
			switch v.What {
			case "entry":
				v.check(t, CheckEntry(b))
				checkEntryIdentity(t, b)
			case "record":
				record, fault := NextRecord(b)
				if fault.OK() && len(record) != len(b) {
					t.Errorf("%d bytes follow the record", len(b)-len(record))
				}
				v.check(t, fault)
				if fault.OK() {
					checkEpochIdentity(t, record)
				}
			case "frame":
				fb := NewFrameBuffer(DefaultMaxFrame)
				fb.Advance(copy(fb.Space(len(b)), b))
				frame, ok, fault := fb.Next()
				v.check(t, fault)
				if ok != (v.Reason == "") {
					t.Errorf("frame is whole: %v", ok)
				}
				if ok && !bytes.Equal(append(AppendFrameHeader(nil, frame.FrameHeader), frame.Payload...), b) {
					t.Error("frame does not come back as it was")
				}
			default:
				v.check(t, checkMessageIdentity(t, newMessages[v.What](), newMessages[v.What](), b))
			}
		})
	}
	for what := range newMessages {
		if seen[what] == 0 {
			t.Errorf("no vector for %s", what)
		}
	}
}

// checkMessageIdentity decodes payload, and, where that is accepted, encodes it
// again to the same bytes.
func checkMessageIdentity(t *testing.T, m, again message, payload []byte) Fault {
	t.Helper()
	fault := m.Decode(payload)
	if !fault.OK() {
		if fault.Offset < 0 || fault.Offset > len(payload) {
			t.Errorf("offset %d is outside of %d bytes", fault.Offset, len(payload))
		}
		return fault
	}
	encoded := m.Append(nil)
	if !bytes.Equal(encoded, payload) {
		t.Errorf("decode then encode is not the identity:\n got %x\nwant %x", encoded, payload)
	}
	if fault := again.Decode(encoded); !fault.OK() {
		t.Errorf("what was encoded is refused: %v", fault)
	}
	return fault
}

// checkEntryIdentity holds that a decoder accepts exactly what the encoder makes.
func checkEntryIdentity(t *testing.T, b []byte) {
	t.Helper()
	if fault := CheckEntry(b); !fault.OK() {
		if fault.Offset < 0 || fault.Offset > len(b) {
			t.Errorf("offset %d is outside of %d bytes", fault.Offset, len(b))
		}
		return
	}
	fields := Entry(b).Fields()
	encoded, fault := AppendEntry(nil, &fields)
	if !fault.OK() || !bytes.Equal(encoded, b) {
		t.Errorf("decode then encode is not the identity (%v):\n got %x\nwant %x", fault, encoded, b)
	}
}

// checkEpochIdentity holds that what an Epoch record says makes the same record again.
func checkEpochIdentity(t *testing.T, record Record) {
	t.Helper()
	said := record.Entry().Epoch()
	encoded, fault := AppendEpoch(nil, &said)
	if !fault.OK() || !bytes.Equal((&Stamp{}).Append(encoded), record) {
		t.Errorf("decode then encode is not the identity (%v):\n got %x\nwant %x", fault, encoded, record)
	}
}

// elsewhere is what the 300 entries made by another program say of themselves.
type elsewhere struct {
	Entries []struct {
		Kind, Account, Counterparty, Asset, Amount, Nonce, Ref, Memo string
		Ts                                                           int64
		EntryHex                                                     string `json:"entry_hex"`
	}
}

func TestEntriesMadeElsewhere(t *testing.T) {
	var vectors elsewhere
	loadJSON(t, "testdata/entries-and-roots.json", &vectors)
	if len(vectors.Entries) != 300 {
		t.Fatalf("%d entries", len(vectors.Entries))
	}
	for i, v := range vectors.Entries {
		b, err := hex.DecodeString(v.EntryHex)
		if err != nil {
			t.Fatal(err)
		}
		if fault := CheckEntry(b); !fault.OK() {
			t.Fatalf("entry %d: %v", i, fault)
		}
		checkEntryIdentity(t, b)
		kind, _ := ParseKind(v.Kind)
		asset, _ := ParseAsset(v.Asset)
		amount, _ := ParseAmount(v.Amount)
		nonce, _ := ParseNonce(v.Nonce)
		ref, _ := ParseNonce(v.Ref)
		fields := Fields{Kind: kind, Account: v.Account, Counterparty: v.Counterparty, Asset: asset, Amount: amount,
			Nonce: nonce, Ref: ref, Timestamp: v.Ts, Memo: []byte(v.Memo)}
		encoded, fault := AppendEntry(nil, &fields)
		if !fault.OK() || !bytes.Equal(encoded, b) {
			t.Errorf("entry %d, %s: encoded from its members (%v):\n got %x\nwant %x", i, v.Kind, fault, encoded, b)
		}
	}
}

// TestProtocolExample holds the worked example of docs/PROTOCOL.md to the bytes.
func TestProtocolExample(t *testing.T) {
	b, err := os.ReadFile("../docs/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	var text string // the bytes without their explanations, which stand behind two spaces
	for line := range strings.Lines(string(b)) {
		shown, _, _ := strings.Cut(line, "  ")
		text += strings.Join(strings.Fields(shown), "")
	}
	for _, v := range loadGolden(t) {
		if strings.HasPrefix(v.Name, "worked ") && !strings.Contains(text, v.Hex) {
			t.Errorf("docs/PROTOCOL.md does not show %q: %s", v.Name, v.Hex)
		}
	}
}
