package audit

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// sketchSums are the sums of a Sketch over rows of each kind. Those of rows that are written once are
// modulo 2^64, those with amounts modulo 2^61-1, a prime, so that a multiple of two is none of zero.
type sketchSums struct {
	seed   maphash.Seed
	assets map[wire.Asset]*assetSums

	identities, accounts, reversed, requests, roots, tiles uint64
	holds                                                  uint64

	key []byte // reused
}

// assetSums are those of one asset.
type assetSums struct {
	of       *sketchSums
	name     wire.Asset
	balances uint64
	supply   wire.Amount // itself
}

func newSums() sketchSums {
	return sketchSums{seed: maphash.MakeSeed(), assets: map[wire.Asset]*assetSums{}}
}

func (s *sketchSums) asset(name wire.Asset) *assetSums {
	a := s.assets[name]
	if a == nil {
		a = &assetSums{of: s, name: name}
		s.assets[name] = a
	}
	return a
}

// begin begins the key of a random function; what follows is one number or string of the row after the other.
func (s *sketchSums) begin(kind byte) { s.key = append(s.key[:0], kind) }

func (s *sketchSums) number(n uint64) { s.key = binary.LittleEndian.AppendUint64(s.key, n) }

// sum is the value of the random function.
func (s *sketchSums) sum() uint64 { return maphash.Bytes(s.seed, s.key) }

func (s *sketchSums) indexed(nonce wire.Nonce, account, seq uint64) {
	s.begin('x')
	s.key = append(s.key, nonce[:]...)
	s.number(account)
	s.number(seq)
	s.identities += s.sum()
}

func (s *sketchSums) named(name []byte, number uint64) {
	s.begin('n')
	s.number(number)
	s.key = append(s.key, name...)
	s.accounts += s.sum()
}

// numbered counts that an account has the number, whichever it is: each is given once.
func (s *sketchSums) numbered(number uint64) {
	s.begin('N')
	s.number(number)
	s.accounts += s.sum()
}

func (s *sketchSums) requested(row *store.RequestRow) {
	if row.IdemID == ([16]byte{}) {
		return
	}
	s.begin('q')
	s.key = append(s.key, row.IdemID[:]...)
	s.number(row.First)
	s.number(uint64(row.Count))
	s.requests += s.sum()
}

func (s *sketchSums) rooted(row *store.RootRow) {
	s.begin('r')
	s.key = append(s.key, row.Root[:]...)
	s.number(row.Seq)
	s.number(uint64(row.TimeMs))
	s.roots += s.sum()
}

func (s *sketchSums) reversal(row *store.ReversedRow) {
	s.begin('v')
	s.number(row.Seq)
	s.number(row.Reversal)
	s.reversed += s.sum()
}

func (s *sketchSums) tiled(level uint8, index uint64, data []byte) {
	s.begin('t')
	s.number(uint64(level))
	s.number(index)
	s.key = append(s.key, data...)
	s.tiles += s.sum()
}

func (s *sketchSums) hold(nonce wire.Nonce, account uint64, asset wire.Asset, amount wire.Amount, minus bool) {
	s.begin('h')
	s.key = append(append(s.key, nonce[:]...), asset[:]...)
	s.number(account)
	addTimes(&s.holds, amount, s.sum(), minus)
}

// The two numbers of a balance.
const (
	available = 'a'
	held      = 'h'
)

func (a *assetSums) balance(account []byte, which byte, amount wire.Amount, minus bool) {
	a.of.begin('b')
	a.of.key = append(append(append(a.of.key, which), a.name[:]...), account...)
	addTimes(&a.balances, amount, a.of.sum(), minus)
}

// issue counts what makes or destroys money.
func (a *assetSums) issue(amount wire.Amount, minus bool) {
	if minus {
		a.supply, _ = a.supply.Sub(amount)
	} else {
		a.supply, _ = a.supply.Add(amount)
	}
}

// prime is 2^61-1.
const prime = 1<<61 - 1

// addTimes adds amount × factor to sum, or takes it away.
func addTimes(sum *uint64, amount wire.Amount, factor uint64, minus bool) {
	high := times(reduce(amount.Hi), 8) // 2^64 is 8 modulo 2^61-1
	n := times(reduce(high+reduce(amount.Lo)), reduce(factor))
	if minus {
		n = prime - n
	}
	*sum = reduce(*sum + n)
}

// reduce returns n modulo 2^61-1.
func reduce(n uint64) uint64 {
	if n = n&prime + n>>61; n >= prime {
		n -= prime
	}
	return n
}

// times returns a × b modulo 2^61-1, where both are below it.
func times(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return reduce(low&prime + (high<<3 | low>>61))
}
