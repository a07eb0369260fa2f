package fleet

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// States of a ledger beside the kinds of alarms.
const (
	Unseen = "new"    // not looked at yet
	OK     = "ok"     // the newest look was good
	Silent = "silent" // two looks in a row brought no answer
)

// silentAfter is how many looks in a row have to fail.
const silentAfter = 2

// Row is what is known of one ledger.
type Row struct {
	URL    string
	Name   string // that the ledger signs under
	LogID  string // of the epoch in force, as far as it is known: hex
	State  string // Unseen, OK, Silent, or a kind of alarm
	Why    string // where the state is not OK
	Known  merkle.Checkpoint
	Since  time.Time // when the newest checkpoint was taken
	Answer time.Time // of the last good look; zero: none since the start
}

// Refuted reports whether the ledger has refuted itself, rather than being silent.
func (r *Row) Refuted() bool { return r.State != Unseen && r.State != OK && r.State != Silent }

// lasting are the alarms that stay until an operator takes the file with the evidence away: both are
// signed statements that cannot become untrue. The others last as long as what raises them.
func lasting(kind string) bool { return kind == monitor.Fork || kind == monitor.Rollback }

// member is a ledger that is followed. Its loop alone uses the watcher; the rest is guarded by mu.
type member struct {
	target  Target
	watcher *monitor.Watcher
	base    string // path of its files, without the ending
	stop    context.CancelFunc

	mu       sync.Mutex
	row      Row
	failures int // looks in a row without an answer
	figures  monitor.Figures
}

// newMember takes up a ledger where its files in the state folder have left it.
func newMember(t Target, o *Options) (*member, error) {
	key, err := monitor.ParseKey(t.VKey)
	if err != nil {
		return nil, err
	}
	address, err := monitor.RootsURL(t.URL)
	if err != nil {
		return nil, err
	}
	id := logIDOf(key.First.Name())
	m := &member{
		target: t, base: filepath.Join(o.Dir, id), figures: monitor.Figures{URL: t.URL, Since: time.Now()},
		row: Row{URL: t.URL, Name: key.Name, LogID: id, State: Unseen, Since: time.Now()},
	}
	m.watcher = &monitor.Watcher{
		HTTP: o.HTTP, Address: *address, Key: key, Brief: true, Since: m.row.Since,
		Save: func(note []byte) error { return o.Write(m.base+".checkpoint", note) },
	}
	if err := m.resume(); err != nil {
		return nil, fmt.Errorf("take up %s: %w", t.URL, err)
	}
	return m, nil
}

func logIDOf(origin string) string {
	_, id, _, _ := merkle.ParseOrigin(origin) // monitor has read it
	return hex.EncodeToString(id[:])
}

func (m *member) resume() error {
	path := m.base + ".checkpoint"
	note, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	if err == nil {
		err = m.watcher.Resume(note, info.ModTime())
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	m.takeKnown()
	evidence, err := os.ReadFile(m.base + ".alarm")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	said, _, _ := strings.Cut(string(evidence), "\n")
	m.row.State, m.row.Why, _ = strings.Cut(said, " ")
	if !lasting(m.row.State) {
		return fmt.Errorf("read %s.alarm: it begins with %.40q, which is no alarm that is kept", m.base, said)
	}
	return nil
}

// takeKnown puts what the watcher knows into the row. The caller holds mu, or has the member alone.
func (m *member) takeKnown() {
	w := m.watcher
	m.row.Known, m.row.Since = w.Known, w.Since
	if w.Known.Origin != "" {
		m.row.LogID = logIDOf(w.Known.Origin)
	}
	m.figures.Size, m.figures.Since = w.Known.Size, w.Since
}

// looked takes what a look has brought. It returns the row, and whether its state is another than before.
func (m *member) looked(err error, now time.Time) (row Row, was string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was = m.row.State
	m.figures.Looked(err, now)
	var refuted *monitor.Alarm
	switch {
	case err == nil:
		m.failures = 0
		m.row.Answer = now
		m.takeKnown()
		if !lasting(m.row.State) {
			m.row.State, m.row.Why = OK, ""
		}
	case errors.As(err, &refuted):
		m.failures = 0
		m.figures.Raised(refuted.Kind)
		if !lasting(m.row.State) {
			m.row.State, m.row.Why = refuted.Kind, refuted.Error()
		}
	default:
		m.failures++
		if m.failures >= silentAfter && !lasting(m.row.State) {
			m.row.State, m.row.Why = Silent, err.Error()
		}
	}
	return m.row, was
}

// evidence is the text of the file that keeps an alarm: the kind and what was seen, then what was signed.
func evidence(refuted *monitor.Alarm) []byte {
	said := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, refuted.Error())
	return append([]byte(refuted.Kind+" "+said+"\n\n"), refuted.Note...)
}

// leaf returns what a line says of the ledger; nil where nothing is known yet.
func (m *member) leaf() *Leaf {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.row.Known.Origin == "" {
		return nil
	}
	return &Leaf{Checkpoint: m.row.Known, Public: ed25519.PublicKey(m.watcher.Key.Public)}
}

func (m *member) now() (Row, monitor.Figures) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.row, m.figures.Clone()
}
