package sidecar

import (
	"context"
	"errors"
	"fmt"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// answerProve answers PROVE. Everything that it tells is read under one signed
// checkpoint: the tree in which it proves is that of the checkpoint or a smaller one.
func (ss *session) answerProve(ctx context.Context, id uint64, payload []byte) wire.Fault {
	var m wire.Prove
	if fault := m.Decode(payload); !fault.OK() {
		return fault
	}
	if len(m.Account) > 0 {
		find := &committer.Request{Op: committer.OpFind, Account: m.Account, Nonce: m.Nonce}
		if fault := ss.ask(find); !fault.OK() {
			return fault
		}
		if !find.Known {
			return wire.Fault{Reason: wire.ReasonUnknownRef, Detail: "there is no entry of this account and nonce"}
		}
		m.From = find.First
	}
	answer, fault, err := ss.sidecar.roots.prove(ctx, &m)
	switch {
	case ss.failedBodies(id, err):
		return wire.Fault{}
	case errors.Is(err, errForgotten) || errors.Is(err, store.ErrNotFound):
		return wire.Fault{Reason: wire.ReasonUnknownRef, Detail: "the records that the proof needs are no longer kept here, and no archive is configured"}
	case err != nil:
		return ss.failed("proving", err)
	case !fault.OK():
		return fault
	case len(m.Account) > 0 && !m.Consistency && !isOf(answer.Record, m.Account, m.Nonce):
		return wire.Fault{Reason: wire.ReasonUnknownRef, Detail: "there is no entry of this account and nonce"}
	}
	ss.out.send(wire.FrameHeader{Type: wire.FrameProveAnswer, RequestID: id}, answer.Append)
	return wire.Fault{}
}

// prove makes the proof that m asks for, and holds it against the verifier before
// it is told: one that does not verify is an error here, not at a reader's.
func (r *rootsSource) prove(ctx context.Context, m *wire.Prove) (*wire.ProveAnswer, wire.Fault, error) {
	signed, err := r.signer.sign(r.head())
	if err != nil {
		return nil, wire.Fault{}, err
	}
	size := m.Size
	if size == 0 {
		size = signed.size
	}
	switch {
	case size > signed.size:
		return nil, wire.Fault{Reason: wire.ReasonUnknownRef, Offset: 16, Detail: "the tree has not had this size yet"}, nil
	case m.From > size:
		return nil, wire.Fault{Reason: wire.ReasonUnknownRef, Offset: 8, Detail: "what is to be proven is not in the tree of this size"}, nil
	}
	answer := &wire.ProveAnswer{Consistency: m.Consistency, From: m.From, Size: size, Checkpoint: signed.text}
	var root merkle.Hash
	if m.Consistency {
		root, err = r.proveConsistency(answer)
	} else {
		root, err = r.proveInclusion(ctx, answer)
	}
	if err == nil && size == signed.size && root != signed.root {
		err = fmt.Errorf("the root at size %d is %x by the proof and %x by the checkpoint", size, root, signed.root)
	}
	answer.Root = root
	return answer, wire.Fault{}, err
}

func (r *rootsSource) proveInclusion(ctx context.Context, answer *wire.ProveAnswer) (merkle.Hash, error) {
	record, err := r.bodies.record(ctx, answer.From, nil)
	if err != nil {
		return merkle.Hash{}, err
	}
	index := answer.From - 1
	root, proof, err := r.prover.InclusionOf(answer.Size, index)
	if err != nil {
		return root, err
	}
	kind := r.prover.Kind
	if err := merkle.VerifyInclusion(kind, kind.Leaf(record), index, answer.Size, proof, root); err != nil {
		return root, fmt.Errorf("check the proof of entry %d: %w", answer.From, err)
	}
	answer.Record, answer.Proof = record, asArrays(proof)
	return root, nil
}

func (r *rootsSource) proveConsistency(answer *wire.ProveAnswer) (merkle.Hash, error) {
	before, root, proof, err := r.prover.ConsistencyOf(answer.From, answer.Size)
	if err != nil {
		return root, err
	}
	if err := merkle.VerifyConsistency(r.prover.Kind, answer.From, before, answer.Size, root, proof); err != nil {
		return root, fmt.Errorf("check the proof from %d to %d: %w", answer.From, answer.Size, err)
	}
	answer.Proof = asArrays(proof)
	return root, nil
}

func asArrays(hashes []merkle.Hash) [][32]byte {
	arrays := make([][32]byte, len(hashes))
	for i := range hashes {
		arrays[i] = hashes[i]
	}
	return arrays
}
