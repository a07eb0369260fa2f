package sidecar

import (
	"sync"
	"time"

	"github.com/rustyonions/ron-ledger/committer"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

// busyRetryAfter is when a client that was told busy should try again: a queue of
// default length is worked off in less.
const busyRetryAfter = 50 * time.Millisecond

// request is an append on its way from its session to the committer and back. It
// is pooled, with its buffers.
type request struct {
	committer.Request
	session *session
	id      uint64
	held    int64 // bytes of limits.inflight_bytes
	way     int   // its cost while it is on its way, see pace
}

func newRequestPool() *sync.Pool {
	return &sync.Pool{New: func() any {
		r := new(request)
		r.Complete = func(*committer.Request) {
			r.passed()
			r.session.out.finished(r)
		}
		return r
	}}
}

// append admits an APPEND: the token still holds, the shape of each entry and the
// caveats are checked, records and leaf hashes are made. What is admitted goes to
// the committer in the order of the connection.
func (ss *session) append(id uint64, payload []byte) error {
	now := time.Now()
	rights, fault := ss.authorised(capability.OpAppend, now)
	if !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	var m wire.AppendRequest
	if fault := m.Decode(payload); !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	if limit := ss.sidecar.live().Limits.MaxEntriesPerRequest; m.Count > uint32(limit) {
		ss.out.fail(id, wire.Fault{Reason: wire.ReasonTooLarge, Offset: 4, Detail: "more entries than limits.max_entries_per_request"}, 0)
		return nil
	}
	if reason := ss.sidecar.committer.Ready(ss.peer.UID); reason != 0 {
		ss.out.fail(id, wire.Fault{Reason: reason, Detail: ss.sidecar.refusal(reason)}, busyRetryAfter)
		return nil
	}
	select {
	case ss.slots <- struct{}{}:
	case <-ss.sidecar.stopping:
		ss.out.fail(id, wire.Fault{Reason: wire.ReasonDraining, Detail: "the sidecar is shutting down"}, 0)
		return nil
	}
	r := ss.sidecar.requests.Get().(*request)
	r.Reset()
	r.session, r.id, r.Lane = ss, id, ss.peer.UID
	r.Origin = committer.Origin{Connection: ss.id, Request: id, UID: ss.peer.UID}
	r.Atomic = m.Flags&wire.AppendAtomic != 0
	r.Balances = m.Flags&wire.AppendBalances != 0
	r.DryRun = m.Flags&wire.AppendDryRun != 0
	r.IdemID = m.IdemID
	r.QueuedNs = ss.sidecar.sinceStart(now)
	fault = ss.admit(r, len(payload))
	if fault.OK() {
		r.Origin.AdmittedNs = ss.sidecar.sinceStart(time.Now())
		fault = r.fill(&m, rights)
		ss.sidecar.admission.leave()
		r.Origin.CheckedNs = ss.sidecar.sinceStart(time.Now())
	}
	if fault.OK() {
		if len(r.Ends) == 0 || r.Atomic && len(r.Results) > 0 {
			r.answerUnsubmitted()
			return nil
		}
		if reason := ss.sidecar.committer.Submit(&r.Request); reason != 0 {
			fault = wire.Fault{Reason: reason, Detail: ss.sidecar.refusal(reason)}
		}
	}
	if !fault.OK() {
		r.free()
		ss.out.fail(id, fault, busyRetryAfter)
	}
	return nil
}

// admit takes what a request holds until it is answered, and waits for its turn.
func (ss *session) admit(r *request, payloadBytes int) wire.Fault {
	a := ss.sidecar.admission
	held := int64(payloadBytes) + requestBytes
	if fault := a.hold(ss.peer.UID, held); !fault.OK() {
		return fault
	}
	r.held = held
	if fault := a.enter(ss.peer.UID, int(held), r.QueuedNs, ss.turn); !fault.OK() {
		return fault
	}
	r.way = int(held)
	return wire.Fault{}
}

// passed says that the request is committed, or will never be.
func (r *request) passed() {
	if r.way > 0 {
		r.session.sidecar.admission.passed(r.session.peer.UID, r.way)
		r.way = 0
	}
}

// free gives back what a request holds, its slot too, and the request itself.
func (r *request) free() {
	ss := r.session
	r.passed()
	if r.held > 0 {
		ss.sidecar.admission.release(ss.peer.UID, r.held)
		r.held = 0
	}
	ss.sidecar.requests.Put(r)
	<-ss.slots
}

// answerUnsubmitted answers a request of which nothing reaches the committer:
// nothing was admitted, or an atomic one not whole. It is answered as of the
// newest root.
func (r *request) answerUnsubmitted() {
	r.passed()
	head := r.session.sidecar.committer.Head()
	r.Size, r.Root = head.Size, head.Root
	r.session.out.finished(r)
}

// fill checks the entries of m and makes the records and leaves of those that are
// admitted. An entry whose end cannot be found makes the whole request malformed.
func (r *request) fill(m *wire.AppendRequest, rights *capability.Rights) wire.Fault {
	var stamp [wire.StampSize]byte
	id, kid := rights.Stamp()
	copy(stamp[:], id[:])
	copy(stamp[wire.CapabilityIDSize:], kid[:])
	reversals := r.session.sidecar.live().Governance.Reversals != reversalsDisabled
	rest := m.Entries
	for i := range m.Count {
		entry, fault := wire.NextEntry(rest)
		if entry == nil {
			fault.Offset += len(m.Entries) - len(rest) + wire.AppendRequestHeaderSize
			return fault
		}
		rest = rest[len(entry):]
		if fault.OK() {
			fault = allowed(entry, rights, reversals)
		}
		if !fault.OK() {
			r.Results = append(r.Results, wire.EntryResult{
				Index: i, Outcome: wire.OutcomeRejected, Reason: fault.Reason, Offset: uint32(fault.Offset), Detail: fault.Detail,
			})
			continue
		}
		r.Records = append(append(r.Records, entry...), stamp[:]...)
		r.Ends = append(r.Ends, uint32(len(r.Records)))
		r.Indexes = append(r.Indexes, i)
	}
	if len(rest) > 0 {
		return wire.Fault{
			Reason: wire.ReasonMalformed, Offset: len(m.Entries) - len(rest) + wire.AppendRequestHeaderSize,
			Detail: "bytes follow the last entry",
		}
	}
	r.hash()
	return wire.Fault{}
}

// hash computes the leaf of each record: here, where sessions run in parallel,
// since a leaf depends on no order.
func (r *request) hash() {
	r.Leaves = r.session.sidecar.hash.AppendLeaves(r.Leaves, r.Records, r.Ends)
}

// allowed holds an entry of valid shape against the caveats of the token and the
// configuration.
func allowed(e wire.Entry, rights *capability.Rights, reversals bool) wire.Fault {
	amount := e.Amount()
	kind := e.Kind()
	if denial := rights.Entry(uint8(kind), e.Account(), e.Counterparty(), e.Asset(), amount.Hi, amount.Lo); denial != capability.Granted {
		return wire.Fault{Reason: wire.ReasonPolicyDenied, Detail: denial.String()}
	}
	if kind == wire.KindReverse && !reversals {
		return wire.Fault{Reason: wire.ReasonPolicyDenied, Detail: "reversals are disabled (governance.reversals)"}
	}
	return wire.Fault{}
}
