package committer

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/rustyonions/ron-ledger/store"
)

// identityFilter says of most identities that are not in the store that they are
// not, without a look-up: what random nonces need, since they cannot be told to be
// new by their order. It is a chain of blocked Bloom filters (Putze, Sanders,
// Singler 2007): a key sets filterProbes bits in one cache line of one link. Links
// double in size, so that the filter grows with the ledger and never has to be
// rebuilt; once it has its most bytes, the last link takes what comes and lets
// more keys through to the look-up that it spares.
//
// A ledger whose nonces rise never needs it, so it is empty and costs nothing until
// the look-ups of one entry in filterShare were in vain within one checkpoint interval; then it is loaded.
//
// The checkpointer adds, and at first the loader; the committer asks. Words only
// ever gain bits, so all may at once. Nothing but speed depends on the filter: what it lets through is
// looked up, and it is asked only when it has all that the store has.
type identityFilter struct {
	seed     maphash.Seed
	links    atomic.Pointer[[]*filterLink]
	maxBytes int
	complete atomic.Bool // every identity in the store was added
	adding   sync.Mutex  // held by who adds
	begun    bool        // the loader has: from here on checkpoints are added; guarded by adding

	after  int           // so many look-ups in vain are a reason to load it
	inVain int           // look-ups of this interval that found nothing; the committer's
	wanted chan struct{} // closed once the filter is worth its memory
}

// filterShare is the part of the entries of a checkpoint interval, one in so many, whose look-ups have to be
// in vain to be a reason to load the filter: random nonces cause one each; rising ones that overtake one
// another those of what was under way when the interval began, some hundreds at 18,000 requests of one entry a second.
const filterShare = 16

// missed notes a look-up in vain. For the committer alone.
func (f *identityFilter) missed() {
	if f == nil {
		return
	}
	f.inVain++
	if f.inVain == f.after {
		select {
		case <-f.wanted:
		default:
			close(f.wanted)
		}
	}
}

// interval begins a checkpoint interval. For the committer alone.
func (f *identityFilter) interval() {
	if f != nil {
		f.inVain = 0
	}
}

type filterLink struct {
	words []atomic.Uint64
	keys  int // added to this link; guarded by adding
	room  int
}

const (
	filterProbes    = 8
	filterLineWords = 8  // one cache line of 64 bytes
	filterKeyBits   = 11 // bits a key while a link has room: some 1 % are let through
	filterLinkBytes = 1 << 20
)

// newIdentityFilter makes an empty filter of a ledger whose checkpoint intervals have so many entries.
func newIdentityFilter(maxBytes, interval int) *identityFilter {
	f := &identityFilter{seed: maphash.MakeSeed(), maxBytes: maxBytes, after: max(interval/filterShare, 1), wanted: make(chan struct{})}
	f.links.Store(&[]*filterLink{newFilterLink(min(filterLinkBytes, maxBytes))})
	return f
}

func newFilterLink(bytes int) *filterLink {
	words := max(bytes/8/filterLineWords, 1) * filterLineWords
	return &filterLink{words: make([]atomic.Uint64, words), room: words * 64 / filterKeyBits}
}

// hash returns 64 bits that nobody outside this process can foresee.
func (f *identityFilter) hash(id *store.Identity) uint64 {
	const odd = 0x9e3779b97f4a7c15
	h := maphash.Bytes(f.seed, id.Nonce[:]) ^ id.Account*odd
	h ^= h >> 32
	return h * odd
}

// line returns the first word of the key's cache line.
func (l *filterLink) line(h uint64) int {
	lines := uint64(len(l.words) / filterLineWords)
	return int((h>>32)*lines>>32) * filterLineWords
}

// addAll adds the identities of a checkpoint, which are in the store. Before the loader has
// begun it leaves them to that.
func (f *identityFilter) addAll(rows []store.Indexed) {
	f.adding.Lock()
	defer f.adding.Unlock()
	if !f.begun {
		return
	}
	for i := range rows {
		f.add(&rows[i].Identity)
	}
}

// load adds what the store has, in the background, and makes the filter complete. It
// ends early when stop is closed.
func (f *identityFilter) load(s *store.Store, stop <-chan struct{}) error {
	f.adding.Lock()
	f.begun = true // first, so that a checkpoint that the reading below does not see is added
	f.adding.Unlock()
	batch := make([]store.Indexed, 0, 4096)
	for id, err := range s.Identities() {
		if err != nil {
			return err
		}
		batch = append(batch, store.Indexed{Identity: id})
		if len(batch) < cap(batch) {
			continue
		}
		f.addAll(batch)
		batch = batch[:0]
		select {
		case <-stop:
			return nil
		default:
		}
	}
	f.addAll(batch)
	f.complete.Store(true)
	return nil
}

// add adds an identity. The caller holds adding.
func (f *identityFilter) add(id *store.Identity) {
	h := f.hash(id)
	l := f.last()
	l.keys++
	line := l.words[l.line(h):][:filterLineWords]
	for i := range filterProbes {
		bit := probe(h, i)
		line[bit>>6].Or(1 << (bit & 63))
	}
}

// last returns the link that keys are added to, a new one where the last is full.
func (f *identityFilter) last() *filterLink {
	links := *f.links.Load()
	l := links[len(links)-1]
	if l.keys < l.room {
		return l
	}
	used := 0
	for _, link := range links {
		used += len(link.words) * 8
	}
	size := min(2*len(l.words)*8, f.maxBytes-used)
	if size < len(l.words)*8/2 {
		return l // no room for a link that is worth its probe
	}
	l = newFilterLink(size)
	grown := append(links[:len(links):len(links)], l)
	f.links.Store(&grown)
	return l
}

// mayHave reports whether the store may have the identity. It allocates nothing.
func (f *identityFilter) mayHave(id *store.Identity) bool {
	if !f.complete.Load() {
		return true
	}
	h := f.hash(id)
	for _, l := range *f.links.Load() {
		if l.has(h) {
			return true
		}
	}
	return false
}

func (l *filterLink) has(h uint64) bool {
	line := l.words[l.line(h):][:filterLineWords]
	for i := range filterProbes {
		bit := probe(h, i)
		if line[bit>>6].Load()&(1<<(bit&63)) == 0 {
			return false
		}
	}
	return true
}

// probe returns the i-th bit of a key within its line, by double hashing over the
// low half of the hash; the high half has chosen the line.
func probe(h uint64, i int) uint32 {
	low := uint32(h)
	return (low + uint32(i)*(low>>17|1)) & (filterLineWords*64 - 1)
}
