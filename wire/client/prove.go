package client

import (
	"bytes"
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// Receipt is what shows, offline and for ever, that an entry is in the ledger: its
// record, and the proof that leads from it to a signed checkpoint.
type Receipt struct {
	merkle.Receipt
	Seq    uint64
	Record wire.Record
}

// Receipt returns the receipt of an entry by its sequence number, under the newest
// checkpoint. It has been verified with the key that the server named in WELCOME; a
// caller who holds the key from elsewhere verifies it again with that.
func (c *Client) Receipt(ctx context.Context, seq uint64) (*Receipt, error) {
	r, err := c.receipt(ctx, &wire.Prove{From: seq})
	if err != nil {
		return nil, fmt.Errorf("read the receipt of entry %d: %w", seq, err)
	}
	return r, nil
}

// ReceiptOf is Receipt for the entry of an identity.
func (c *Client) ReceiptOf(ctx context.Context, account string, nonce wire.Nonce) (*Receipt, error) {
	r, err := c.receipt(ctx, &wire.Prove{Account: []byte(account), Nonce: nonce})
	if err != nil {
		return nil, fmt.Errorf("read the receipt of entry %v of %s: %w", nonce, account, err)
	}
	e := r.Record.Entry()
	if string(e.Account()) != account || e.Nonce() != nonce {
		return nil, fmt.Errorf("read the receipt of entry %v of %s: %w: it is that of another entry", nonce, account, ErrProtocol)
	}
	return r, nil
}

func (c *Client) receipt(ctx context.Context, request *wire.Prove) (*Receipt, error) {
	m, err := c.Prove(ctx, request)
	if err != nil {
		return nil, err
	}
	r := &Receipt{Seq: m.From, Record: bytes.Clone(m.Record)}
	r.Index, r.Checkpoint = m.From-1, bytes.Clone(m.Checkpoint)
	for _, h := range m.Proof {
		r.Proof = append(r.Proof, h)
	}
	verifier, err := note.NewVerifier(c.Welcome().VerifyKey)
	if err != nil {
		return nil, fmt.Errorf("read the key of the server: %w", err)
	}
	if _, err := r.Verify(r.Record, verifier); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return r, nil
}

// Prove sends a request for a proof and returns the answer as it came, unverified
// but for being an answer to this request. Receipt does the common case.
func (c *Client) Prove(ctx context.Context, request *wire.Prove) (*wire.ProveAnswer, error) {
	payload, err := c.ask(ctx, wire.FrameProve, wire.FrameProveAnswer, request)
	if err != nil {
		return nil, err
	}
	m := new(wire.ProveAnswer)
	if fault := m.Decode(payload); !fault.OK() {
		return nil, decodeFault(wire.FrameProveAnswer, fault)
	}
	wrongFrom := m.From != request.From && len(request.Account) == 0
	if m.Consistency != request.Consistency || wrongFrom || request.Size != 0 && m.Size != request.Size ||
		!m.Consistency && m.From == 0 {
		return nil, fmt.Errorf("%w: the answer is to another question", ErrProtocol)
	}
	return m, nil
}
