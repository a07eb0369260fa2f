package sidecartest

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// vector is one file of testing/vectors, whose README says what its members mean.
type vector struct {
	Name, Shows      string
	Config           map[string]string
	Before           []vectorRequest
	Request          vectorRequest
	Crowd            int
	OtherConnections int `json:"other_connections"`

	// One of them.
	Answer     *vectorAnswer
	Unreadable *vectorUnreadable
	Error      *vectorError
}

// vectorRequest is a request in the JSON form; Hex and Text stand for Entries that
// have none.
type vectorRequest struct {
	Atomic   bool
	IdemID   string `json:"idem_id"`
	Balances bool
	DryRun   bool `json:"dry_run"`

	Entries []json.RawMessage
	Hex     []string
	Text    string
}

type vectorAnswer struct {
	First    uint64            `json:"first"`
	Last     uint64            `json:"last"`
	Size     uint64            `json:"size"`
	Accepted int               `json:"accepted"`
	Results  []vectorResult    `json:"results,omitempty"`
	Balances []vectorBalance   `json:"balances,omitempty"`
	Root     map[string]string `json:"root,omitempty"` // by hash
}

type vectorResult struct {
	Index   uint32 `json:"index"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Offset  uint32 `json:"offset,omitempty"`
	Seq     uint64 `json:"seq,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

type vectorBalance struct {
	Account   string `json:"account"`
	Asset     string `json:"asset"`
	Available string `json:"available"`
	Held      string `json:"held"`
}

type vectorUnreadable struct {
	Column         int
	Member, Detail string
}

type vectorError struct {
	Reason       string
	RetryAfterMs int64 `json:"retry_after_ms"`
}

// readVectors reads all vectors.
func readVectors(t *testing.T) (vectors []vector) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(vectorsDir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if name == "ledger" {
			continue
		}
		var v vector
		readJSON(t, path, &v, true)
		if v.Name != name || v.Shows == "" {
			t.Errorf("%s: its name is %q, and it shows %q", path, v.Name, v.Shows)
		}
		vectors = append(vectors, v)
	}
	if len(vectors) == 0 {
		t.Fatal("there are no vectors")
	}
	return vectors
}

// TestVectors replays the vectors in ledgers of every kind, through the Go client
// and through ledgerctl.
func TestVectors(t *testing.T) {
	f, vectors := readFixture(t), readVectors(t)
	for _, profile := range []string{"macronode", "micronode"} {
		for _, hash := range []string{"blake3", "sha256"} {
			t.Run(profile+"/"+hash, func(t *testing.T) {
				t.Parallel()
				for i := range vectors {
					v := &vectors[i]
					config := map[string]string{"profile": profile, "accumulator.hash": hash}
					maps.Copy(config, v.Config)
					t.Run(v.Name, func(t *testing.T) {
						p := f.start(t, config)
						v.throughClient(t, f, p, hash)
						if v.books() {
							p = f.start(t, config)
						}
						v.throughCLI(t, f, p, hash)
					})
				}
			})
		}
	}
}

// books reports whether the request changes the ledger.
func (v *vector) books() bool {
	return v.Crowd > 0 || v.OtherConnections > 0 || v.Answer != nil && v.Answer.Accepted > 0 && !v.Request.DryRun
}

// batch encodes a request. What cannot be read is an error.
func (r *vectorRequest) batch(t *testing.T) (*client.Batch, error) {
	t.Helper()
	b := &client.Batch{Atomic: r.Atomic, Balances: r.Balances, DryRun: r.DryRun}
	if id, ok := wire.ParseNonce(r.IdemID); ok {
		b.IdemID = id
	} else if r.IdemID != "" {
		t.Fatalf("idem_id %q cannot be read", r.IdemID)
	}
	for _, line := range r.lines() {
		var f wire.Fields
		if err := wire.ParseJSONEntry(line, &f, wire.JSONDefaults{}); err != nil {
			return nil, err
		}
		if err := b.Add(&f); err != nil {
			t.Fatal(err)
		}
	}
	return b, nil
}

// lines returns the entries as lines of JSON.
func (r *vectorRequest) lines() (lines [][]byte) {
	if r.Text != "" {
		return [][]byte{[]byte(r.Text)}
	}
	for _, entry := range r.Entries {
		lines = append(lines, entry)
	}
	return lines
}

// throughClient replays the vector through the Go client.
func (v *vector) throughClient(t *testing.T, f *fixture, p *Process, hash string) {
	c := f.dialFree(t, p)
	v.prepare(t, c)
	b, err := v.Request.batch(t)
	switch {
	case v.Unreadable != nil:
		var at *wire.JSONError
		if !errors.As(err, &at) || at.Column != v.Unreadable.Column || at.Member != v.Unreadable.Member || at.Detail != v.Unreadable.Detail {
			t.Errorf("reading it says %v, want %+v", err, *v.Unreadable)
		}
	case err != nil:
		t.Fatal(err)
	case v.Crowd > 0:
		v.joinCrowd(t, f, p)
	case v.OtherConnections > 0:
		_, err := client.Dial(t.Context(), f.options(p))
		v.checkError(t, err)
	case len(v.Request.Hex) > 0:
		checkAnswer(t, sendHex(t, f, p, v.Request.Hex), v.Answer, hash)
	default:
		if !b.DryRun {
			v.tryDry(t, c)
		}
		checkAnswer(t, answerOf(v.append(t, c, b)), v.Answer, hash)
	}
}

// prepare makes the state before the request.
func (v *vector) prepare(t *testing.T, c *client.Client) {
	t.Helper()
	for i := range v.Before {
		b, err := v.Before[i].batch(t)
		if err != nil {
			t.Fatal(err)
		}
		v.append(t, c, b)
	}
}

func (v *vector) append(t *testing.T, c *client.Client, b *client.Batch) *client.AppendResult {
	t.Helper()
	result, err := c.Append(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// tryDry asks what would become of the request: what then becomes of it, but
// for its place in the log.
func (v *vector) tryDry(t *testing.T, c *client.Client) {
	t.Helper()
	b, err := v.Request.batch(t)
	if err != nil {
		t.Fatal(err)
	}
	b.DryRun = true
	dry := answerOf(v.append(t, c, b))
	want := *v.Answer
	want.First, want.Last, want.Size, want.Root = 0, 0, v.Answer.Size-uint64(v.Answer.Accepted), nil
	dry.Root = nil
	if got, want := inJSON(t, dry), inJSON(t, &want); got != want {
		t.Errorf("a dry run says\n%s\nwant\n%s", got, want)
	}
}

// answerOf is what the client was told, in the form of the vectors.
func answerOf(r *client.AppendResult) *vectorAnswer {
	a := &vectorAnswer{First: r.First, Last: r.Last, Size: r.Size, Accepted: r.Accepted, Root: map[string]string{"": r.Root.String()}}
	for i := range r.Results {
		a.Results = append(a.Results, resultOf(&r.Results[i]))
	}
	for _, b := range r.Balances {
		a.Balances = append(a.Balances, vectorBalance{b.Account, b.Asset.String(), b.Available.String(), b.Held.String()})
	}
	return a
}

func resultOf(r *wire.EntryResult) vectorResult {
	result := vectorResult{Index: r.Index, Outcome: r.Outcome.String(), Offset: r.Offset, Seq: r.Seq, Detail: r.Detail}
	if r.Reason != 0 {
		result.Reason = r.Reason.String()
	}
	return result
}

// checkAnswer compares an answer, whose root stands under no hash, with a vector's.
func checkAnswer(t *testing.T, got, vector *vectorAnswer, hash string) {
	t.Helper()
	want := *vector
	want.Root = map[string]string{"": vector.Root[hash]}
	if got, want := inJSON(t, got), inJSON(t, &want); got != want {
		t.Errorf("the answer is\n%s\nwant\n%s", got, want)
	}
}

func inJSON(t *testing.T, a *vectorAnswer) string {
	t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sendHex sends entries that the client does not let through.
func sendHex(t *testing.T, f *fixture, p *Process, entries []string) *vectorAnswer {
	t.Helper()
	text, err := os.ReadFile(f.Token)
	if err != nil {
		t.Fatal(err)
	}
	token, err := capability.ParseToken(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	raw := DialRaw(t, filepath.Join(p.Home, "ledger.sock"))
	raw.Send(HelloFrame(token.Bytes()))
	raw.Receive()
	all, err := hex.DecodeString(strings.Join(entries, ""))
	if err != nil {
		t.Fatal(err)
	}
	raw.Send(AppendFrame(2, 0, uint32(len(entries)), all))
	header, payload := raw.Receive()
	var view wire.AppendedView
	if fault := view.Decode(payload); header.Type != wire.FrameAppended || !fault.OK() {
		t.Fatalf("%v answers: %v", header.Type, fault)
	}
	a := &vectorAnswer{
		First: view.First, Last: view.Last, Size: view.Size, Accepted: int(view.Accepted),
		Root: map[string]string{"": hex.EncodeToString(view.Root[:])},
	}
	for r := range view.Results() {
		a.Results = append(a.Results, resultOf(&r))
	}
	return a
}
