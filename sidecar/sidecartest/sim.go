package sidecartest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
)

// Simulated counts what a simulation went through.
type Simulated struct {
	Ledgers  int
	Lives    int
	Crashes  int            // lives that ended by a crash, as a power cut or a kill makes it
	Faults   map[string]int // by name of what the file system did; most of them crash as well
	Stops    int            // lives that Fatal ended
	Refusals int            // lives that ended with an error
	Cleans   int            // lives that ended with a clean stop
	Entries  uint64         // acknowledged
}

// simulation is one seeded loop over the lives of ledgers: each life opens what the one before
// left, is held against the model, audited, appends, and ends somehow.
type simulation struct {
	*rand.Rand
	out Simulated
}

// Simulate runs lives until so many have crashed. The same seed makes the same decisions; what
// Pebble does in the background may come at other moments.
func Simulate(seed uint64, crashes int) (Simulated, error) {
	s := &simulation{Rand: rand.New(rand.NewPCG(seed, 0x73696d))}
	s.out.Faults = map[string]int{}
	for s.out.Crashes < crashes {
		ledgerSeed := s.Uint64()
		if err := s.ledger(ledgerSeed, crashes); err != nil {
			return s.out, fmt.Errorf("ledger %d: %w", s.out.Ledgers, err)
		}
		s.out.Ledgers++
	}
	return s.out, nil
}

// ledger tells one story over as many lives as it takes, and a last one that finds it whole.
func (s *simulation) ledger(seed uint64, crashes int) error {
	profile := Profile{
		Hash: []merkle.HashKind{merkle.Blake3, merkle.SHA256}[s.IntN(2)], Accounts: 1 + s.IntN(12), Assets: 1 + s.IntN(5),
		CheckpointEntries: 1 + s.IntN(80), BatchMaxEntries: 1 + s.IntN(40), CacheAccounts: s.IntN(10), Pipeline: 1 + s.IntN(8),
		RandomNonces: s.IntN(2) == 0,
	}
	story, err := NewStory(profile, Generate(profile, seed, 300+s.IntN(600)))
	if err != nil {
		return err
	}
	fs, at := store.NewCrashFS(), &progress{}
	for lives := 0; at.acked.Load() < story.Size() && s.out.Crashes < crashes; lives++ {
		if lives > 400 {
			return errors.New("the ledger does not come to an end in 400 lives")
		}
		if fs, at, err = s.life(story, fs, at); err != nil {
			return fmt.Errorf("profile %+v, life %d: %w", profile, lives, err)
		}
		if at.strayed.Load() { // what others booked behind a refusal is no part of the story
			return nil
		}
	}
	s.out.Entries += at.acked.Load()
	_, err = story.Recover(fs, at)
	return err
}

// life runs one life and returns what the next begins with.
func (s *simulation) life(story *Story, fs *store.FS, at *progress) (*store.FS, *progress, error) {
	s.out.Lives++
	meet := s.meeting(fs, at)
	l, err := story.begin(fs.Inject(meet.decide), "", at)
	if err == nil {
		if err = l.check(); err == nil {
			err = l.tell(1 + s.IntN(60))
		}
		if err == nil && s.IntN(3) == 0 {
			if err = l.close(); err == nil {
				s.out.Cleans++
			}
		}
	}
	switch {
	case errors.Is(err, errStopped):
		s.out.Stops++
	case err != nil && (!isForeseen(err) || !meet.faulty()):
		return nil, nil, err
	case err != nil:
		s.out.Refusals++
	}
	left, then := meet.end(s.Uint64())
	s.out.Crashes++
	if meet.met != "" {
		s.out.Faults[meet.met]++
	}
	if err == nil && l.committer != nil { // frees what the life holds; what it writes now is of no world
		_ = l.close()
	}
	return left, then, nil
}

// meeting is what a life's file system does to it.
type meeting struct {
	fs       *store.FS
	at       *progress
	incident *Incident
	when     int // operation that it meets; the operation behind which everything ends
	percent  int // of what was not synced that a crash leaves

	mu    sync.Mutex
	count int
	met   string
	left  *store.FS // what was there when it ended
	then  *progress
}

// meeting draws an incident, a crash behind an operation, or only how the life ends.
func (s *simulation) meeting(fs *store.FS, at *progress) *meeting {
	m := &meeting{fs: fs, at: at, when: 1 + s.IntN(500), percent: percents[s.IntN(len(percents))]}
	switch n := s.IntN(10); {
	case n < 4:
		m.incident = &Incidents[s.IntN(len(Incidents))]
	case n < 8:
		m.incident = &Incident{Name: fmt.Sprintf("crash, %d %% kept", m.percent)}
	}
	return m
}

func (m *meeting) decide(op store.Op) store.Fault {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	if m.incident == nil || m.left != nil || m.count < m.when {
		return store.Fault{}
	}
	if m.incident.Fault == nil {
		return store.Fault{After: m.crash}
	}
	if m.met != "" && !m.incident.Lasting || m.incident.Hits != nil && !m.incident.Hits(op) {
		return store.Fault{}
	}
	m.met = strings.ReplaceAll(m.incident.Name, ",", "")
	return m.incident.Fault(op)
}

// crash takes what is there; what the life does afterwards never happened.
func (m *meeting) crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left == nil {
		m.met = m.incident.Name
		m.take(uint64(m.when))
	}
}

func (m *meeting) take(seed uint64) {
	m.then = m.at.clone() // before the copy: what is acknowledged while it is made may be missing
	m.left = m.fs.CrashClone(m.percent, seed)
	m.then.sent.Store(m.at.sent.Load())
	m.then.strayed.Store(m.at.strayed.Load())
}

// faulty reports whether the file system gave reason to end with an error.
func (m *meeting) faulty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.met != "" && m.incident.Fault != nil
}

// end crashes a life that has not yet.
func (m *meeting) end(seed uint64) (*store.FS, *progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left == nil {
		m.take(seed)
	}
	return m.left, m.then
}
