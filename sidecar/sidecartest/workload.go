package sidecartest

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"math/rand/v2"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/sidecar/sidecartest/model"
	"github.com/rustyonions/ron-ledger/wire"
)

// Profile says what kind of ledger a run is about and how it is driven.
type Profile struct {
	Name              string
	Hash              merkle.HashKind
	Accounts          int // how many names there are
	Assets            int // how many of assets are used, from the first
	CheckpointEntries int
	BatchMaxEntries   int
	CacheAccounts     int
	Pipeline          int  // requests under way at a time
	RandomNonces      bool // instead of rising ones
}

// assets in the order in which a profile takes them. Amounts in BIG are near 2^128,
// and NIL is only ever moved by legs, so its supply is zero.
var assets = []wire.Asset{asset(""), asset("BIG"), asset("NIL"), asset("EUR"), asset("X-1.5")}

func asset(name string) wire.Asset {
	a, ok := wire.ParseAsset(name)
	if !ok {
		panic("sidecartest: no asset name: " + name)
	}
	return a
}

const (
	small = 0 // index in assets
	huge  = 1
	null  = 2
)

// Step is one thing that a run does.
type Step struct {
	Request  *model.Request // append this,
	Balances bool           // and ask for the balances in the answer
	Read     string         // else ask for this account
	Restart  bool           // else close everything and open it again
	Crash    bool           // else lose what was not synced, with 50 % chance each, and open
}

// Generate draws the steps of a run with at least that many entries. The same profile
// and seed give the same steps.
func Generate(profile Profile, seed uint64, entries int) []Step {
	g := &generator{
		Rand: rand.New(rand.NewPCG(seed, 0x6c656467)), profile: profile, ledger: model.New(),
		booked: map[wire.Kind][]uint64{},
	}
	for i := range profile.Accounts {
		g.accounts = append(g.accounts, fmt.Sprintf("acct:%d", i))
	}
	g.accounts[0] += fmt.Sprintf("/%0*d", wire.MaxAccountLength-7, 0) // a name as long as can be
	var steps []Step
	for entries > 0 {
		step := g.step()
		if step.Request != nil {
			entries -= len(step.Request.Entries)
		}
		steps = append(steps, step)
	}
	return append(steps, Step{Restart: true})
}

// generator draws requests that depend on what the ledger holds by then, which the
// model tells it.
type generator struct {
	*rand.Rand
	profile  Profile
	ledger   *model.Ledger
	accounts []string
	booked   map[wire.Kind][]uint64 // sequence numbers
	wholes   []model.Request        // atomic requests that were sent
	nonces   uint64
}

func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

func choose[T any](g *generator, of []T) T { return of[g.IntN(len(of))] }

func (g *generator) step() Step {
	switch n := g.IntN(1000); {
	case n < 3:
		return Step{Restart: true}
	case n < 6:
		return Step{Crash: true}
	case n < 50:
		return Step{Read: g.account()}
	}
	r := g.request()
	size := g.ledger.Size()
	g.ledger.Append(r)
	for seq := size + 1; seq <= g.ledger.Size(); seq++ {
		kind := g.ledger.Entry(seq).Kind
		g.booked[kind] = append(g.booked[kind], seq)
	}
	if r.Atomic {
		g.wholes = append(g.wholes, *r)
	}
	return Step{Request: r, Balances: g.chance(20)}
}

// request draws one request.
func (g *generator) request() *model.Request {
	r := new(model.Request)
	switch n := g.IntN(100); {
	case n < 55:
		for range 1 + g.IntN(8) {
			r.Entries = append(r.Entries, g.entry())
		}
		if g.chance(6) { // twice in one request
			r.Entries = append(r.Entries, choose(g, r.Entries))
		}
		return r
	case n < 65 && len(g.wholes) > 0:
		return g.again()
	case n < 78:
		r.Entries = g.squeeze()
	case n < 82:
		r.Entries = g.fall()
	default:
		r.Entries = g.legs()
		for range g.IntN(4) {
			if g.chance(60) {
				r.Entries = append(r.Entries, g.entry())
			} else {
				r.Entries = append([]wire.Fields{g.entry()}, r.Entries...)
			}
		}
		if g.chance(4) {
			r.Entries = append(r.Entries, choose(g, r.Entries))
		}
	}
	r.Atomic = true
	if g.chance(40) {
		r.IdemID = g.nonce()
	}
	return r
}

// again repeats an atomic request, as it was or nearly so.
func (g *generator) again() *model.Request {
	before := choose(g, g.wholes)
	r := &model.Request{Atomic: g.chance(90), IdemID: before.IdemID}
	r.Entries = append(r.Entries, before.Entries...)
	i := g.IntN(len(r.Entries))
	switch g.IntN(9) {
	case 0:
		r.Entries[i].Timestamp++
	case 1:
		r.Entries[i].Memo = []byte("other")
	case 2:
		r.Entries[i].Nonce = g.nonce()
	case 3:
		r.Entries = r.Entries[:i+1]
	case 4:
		r.Entries = append(r.Entries, g.entry())
	case 5:
		r.IdemID = [16]byte{}
	case 6:
		r.IdemID = g.nonce()
	}
	if !r.Atomic {
		r.IdemID = [16]byte{}
	}
	return r
}

// nonce draws a new nonce; rising ones come nearly in order, as those of UUIDv7 do.
func (g *generator) nonce() (n wire.Nonce) {
	g.nonces++
	binary.BigEndian.PutUint64(n[8:], g.nonces)
	if g.profile.RandomNonces {
		binary.BigEndian.PutUint64(n[:], g.Uint64())
	} else {
		binary.BigEndian.PutUint64(n[:], g.nonces+uint64(g.IntN(6)))
	}
	return n
}

// account draws a name; the first few are the busy ones.
func (g *generator) account() string {
	if g.chance(50) {
		return g.accounts[g.IntN(min(4, len(g.accounts)))]
	}
	return choose(g, g.accounts)
}

func (g *generator) asset() wire.Asset { return assets[g.IntN(min(g.profile.Assets, len(assets)))] }

// available and held return what the account can spend, and what it has set aside.
func (g *generator) available(account string, a wire.Asset) *big.Int {
	b, _ := g.ledger.Balance(account, a)
	return b.Available
}

func (g *generator) held(account string, a wire.Asset) *big.Int {
	b, _ := g.ledger.Balance(account, a)
	return b.Held
}

// amountOf turns n into an amount, between 1 and 2^128-1.
func amountOf(n *big.Int) wire.Amount {
	switch {
	case n.Sign() <= 0:
		return wire.AmountOf(1)
	case n.Cmp(amountMax) > 0:
		n = amountMax
	}
	low := new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1))
	return wire.Amount{Hi: new(big.Int).Rsh(n, 64).Uint64(), Lo: low.Uint64()}
}

// near draws an amount that is n, or next to it, or a part of it.
func (g *generator) near(n *big.Int) wire.Amount {
	switch g.IntN(6) {
	case 0:
		return amountOf(n)
	case 1:
		return amountOf(new(big.Int).Add(n, big.NewInt(1)))
	case 2:
		return amountOf(new(big.Int).Sub(n, big.NewInt(1)))
	default:
		return amountOf(new(big.Int).Div(n, big.NewInt(2+g.Int64N(8))))
	}
}

// amount draws what the account might spend.
func (g *generator) amount(account string, a wire.Asset) wire.Amount {
	if g.chance(60) {
		return wire.AmountOf(1 + g.Uint64N(30))
	}
	return g.near(g.available(account, a))
}
