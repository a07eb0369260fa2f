package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// Payloads of a bench: transfers of 1 between accounts named bench:00000 and on.
const (
	accountPrefix = "bench:"
	accountDigits = 5
	accountLength = len(accountPrefix) + accountDigits
	entryMin      = (wire.EntryHeaderSize + 2*accountLength + 7) &^ 7
	entryMax      = (wire.EntryHeaderSize + 2*accountLength + wire.MaxMemoLength) &^ 7
)

// Where in an entry lies what differs from entry to entry (FORMATS §1).
const (
	entryTimestampAt    = 8
	entryNonceAt        = 16
	entryAccountAt      = wire.EntryHeaderSize + len(accountPrefix)
	entryCounterpartyAt = entryAccountAt + accountLength
)

// payload is the frame of an APPEND that is sent again and again: only the request
// id, the count, and of each entry the time, the nonce and the digits of both
// accounts are written anew. It belongs to one goroutine.
type payload struct {
	frame     []byte // of the most entries
	entrySize int
	most      int
	digits    []byte // of all account names, back to back
	accounts  uint32
	rng       *rand.Rand
	src       *rand.PCG
	nonces    nonceMaker
}

const payloadHeader = wire.FrameHeaderSize + wire.AppendRequestHeaderSize

// newPayload prepares requests of up to most entries. digits is digitsOf
// the number of accounts, shared by all payloads.
func newPayload(most, entrySize int, digits []byte, random bool, seed uint64) (*payload, error) {
	if entrySize < entryMin || entrySize > entryMax || entrySize%8 != 0 {
		return nil, fmt.Errorf("make payload: an entry of %d bytes: a multiple of 8 in %d..%d is wanted", entrySize, entryMin, entryMax)
	}
	src := rand.NewPCG(seed, 0x6c65646765726374)
	p := &payload{
		entrySize: entrySize, most: most, digits: digits, accounts: uint32(len(digits) / accountDigits),
		rng: rand.New(src), src: src, nonces: nonceMaker{random: random},
	}
	if p.accounts < 2 {
		return nil, errors.New("make payload: fewer than 2 accounts")
	}
	p.frame = wire.AppendFrameHeader(make([]byte, 0, payloadHeader+most*entrySize), wire.FrameHeader{Type: wire.FrameAppend})
	none := wire.AppendRequest{Count: uint32(most)}
	p.frame = none.Append(p.frame)
	memo := make([]byte, entrySize-wire.EntryHeaderSize-2*accountLength)
	for range most {
		for i := range memo {
			memo[i] = memoAlphabet[p.rng.IntN(len(memoAlphabet))]
		}
		var fault wire.Fault
		p.frame, fault = wire.AppendEntry(p.frame, &wire.Fields{
			Kind: wire.KindTransfer, Account: accountName(0), Counterparty: accountName(1),
			Amount: wire.Amount{Lo: 1}, Memo: memo, Nonce: wire.Nonce{1},
		})
		if !fault.OK() {
			return nil, fmt.Errorf("make payload: %w", fault)
		}
	}
	return p, nil
}

const memoAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// request writes a request of n entries, 1..most, and returns its frame, valid
// until the next one. It allocates nothing.
func (p *payload) request(id uint64, n int, now time.Time) []byte {
	size := payloadHeader + n*p.entrySize
	frame := p.frame[:size]
	wire.PutFrameHeader(frame, wire.FrameHeader{
		Length: uint32(size - wire.FrameHeaderSize), Type: wire.FrameAppend, RequestID: id,
	})
	binary.LittleEndian.PutUint32(frame[wire.FrameHeaderSize+4:], uint32(n))
	nowMs := uint64(now.UnixMilli())
	p.nonces.at(now)
	for entries := frame[payloadHeader:]; len(entries) > 0; entries = entries[p.entrySize:] {
		entry := entries[:p.entrySize]
		binary.LittleEndian.PutUint64(entry[entryTimestampAt:], nowMs)
		p.nonces.put(entry[entryNonceAt:entryNonceAt+16], p.src)
		from, to := p.pair()
		copy(entry[entryAccountAt:], p.digits[from:from+accountDigits])
		copy(entry[entryCounterpartyAt:], p.digits[to:to+accountDigits])
	}
	return frame
}

// pair returns where the digits of two different accounts start.
func (p *payload) pair() (from, to uint32) {
	r := p.src.Uint64()
	from = uint32(uint64(uint32(r)) * uint64(p.accounts) >> 32)
	to = uint32((r >> 32) * uint64(p.accounts-1) >> 32)
	if to >= from {
		to++
	}
	return from * accountDigits, to * accountDigits
}

// digitsOf returns the digits of the names of n accounts, back to back.
func digitsOf(n int) []byte {
	var digits strings.Builder
	for i := range n {
		digits.WriteString(accountName(i)[len(accountPrefix):])
	}
	return []byte(digits.String())
}

func accountName(i int) string {
	return fmt.Sprintf("%s%0*d", accountPrefix, accountDigits, i)
}

// nonceMaker makes nonces: UUIDv7 as client libraries do, rising within one
// connection and nearly so over all of them, or random ones (UUIDv4).
type nonceMaker struct {
	random bool
	tick   uint64 // in 1/4096 ms since 1970; above that of every UUIDv7 made before
}

// at sets the clock: once a request, since reading it costs more than a nonce.
func (m *nonceMaker) at(now time.Time) {
	ns := uint64(now.UnixNano())
	ms := ns / 1e6
	m.tick = max(m.tick+1, ms<<12|(ns%1e6)<<12/1e6)
}

// put writes the next nonce (RFC 9562 §5.7, with method 3 of §6.2 for the 12 bits
// behind the milliseconds; §5.4 for random ones).
func (m *nonceMaker) put(dst []byte, src *rand.PCG) {
	high, low := uint64(0x4000), src.Uint64()
	if m.random {
		high |= src.Uint64() &^ 0xf000
	} else {
		high = m.tick>>12<<16 | 0x7000 | m.tick&0xfff
		m.tick++
	}
	binary.BigEndian.PutUint64(dst, high)
	binary.BigEndian.PutUint64(dst[8:], low&^(3<<62)|2<<62)
}
