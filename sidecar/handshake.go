package sidecar

import (
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

// hello answers the first frame of a connection. A connection that has no token, and is
// handed none, can do nothing but ask for STATUS, and that only when the peer has the
// sidecar's own uid; so anyone else is turned away here.
func (ss *session) hello(id uint64, payload []byte) error {
	var m wire.Hello
	if fault := m.Decode(payload); !fault.OK() {
		return ss.refuse(id, fault)
	}
	if m.MinVersion > wire.Version1 || m.MaxVersion < wire.Version1 {
		return ss.refuse(id, wire.Fault{Reason: wire.ReasonMalformed, Offset: 4, Detail: "this server speaks protocol version 1 alone"})
	}
	token := m.Token
	var handed []byte
	if len(token) == 0 {
		var fault wire.Fault
		if handed, fault = ss.handOut(); !fault.OK() {
			ss.sidecar.metrics.authFailed("token")
			return ss.refuse(id, fault)
		}
		token = handed
	}
	var words []string
	if len(token) > 0 {
		judged, fault := ss.verify(token)
		if !fault.OK() {
			return ss.refuse(id, fault)
		}
		ss.grant.Store(judged)
		words = judged.rights.Words()
	}
	if fault := ss.sidecar.sessions.fence(ss); !fault.OK() {
		return ss.refuse(id, fault)
	}
	ss.version = wire.Version1
	if judged := ss.grant.Load(); judged != nil {
		ss.log.Debug("hello", append(stampFields(judged.rights), zap.String("client", m.Client), zap.Strings("rights", words))...)
	}
	welcome := ss.sidecar.welcome()
	welcome.Version, welcome.Rights, welcome.Token = ss.version, words, handed
	welcome.MaxInflight = uint32(cap(ss.slots))
	ss.out.send(wire.FrameHeader{Type: wire.FrameWelcome, RequestID: id}, welcome.Append)
	return nil
}

// auth swaps the token of a live connection. When the new one does not hold, the
// old one stays.
func (ss *session) auth(id uint64, payload []byte) error {
	var m wire.Auth
	if fault := m.Decode(payload); !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	judged, fault := ss.verify(m.Token)
	if !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	ss.grant.Store(judged)
	ok := wire.OK{}
	ss.out.send(wire.FrameHeader{Type: wire.FrameOK, RequestID: id}, ok.Append)
	return nil
}

// grant is a token that was verified, with its rights and the keys that it was judged
// by. It never changes.
type grant struct {
	token  capability.Token
	rights *capability.Rights
	keys   *tokenKeys
}

// verify checks a token against the keys in force and the connection it came over.
func (ss *session) verify(encoded []byte) (*grant, wire.Fault) {
	token, err := capability.TokenFromBytes(encoded)
	var judged *grant
	if err == nil {
		judged, err = judge(token, ss.sidecar.keys.current.Load())
	}
	if err == nil {
		err = ss.holds(judged.rights, time.Now()).Err()
	}
	if err != nil {
		ss.sidecar.metrics.authFailed("token")
		return nil, refusedToken(err)
	}
	return judged, wire.Fault{}
}

func judge(token capability.Token, keys *tokenKeys) (*grant, error) {
	rights, err := capability.Verify(token, keys.ring, keys.revoked)
	if err != nil {
		return nil, err
	}
	return &grant{token: token, rights: rights, keys: keys}, nil
}

// holds checks the caveats that are about the connection and the time. They are
// checked on every request, since a connection can outlive them.
func (ss *session) holds(rights *capability.Rights, now time.Time) capability.Denial {
	return rights.Session(ss.peer.UID, ss.peer.GID, ss.peer.Groups, ss.sidecar.logID, now.Unix())
}

// authorised returns the rights of the connection when they hold now and allow op. A
// token that was judged by keys which are not in force any more is judged again: it
// may have been revoked, or its key removed.
func (ss *session) authorised(op capability.Op, now time.Time) (*capability.Rights, wire.Fault) {
	judged := ss.grant.Load()
	if judged == nil {
		return nil, wire.Fault{Reason: wire.ReasonUnauth, Detail: "this connection has no token"}
	}
	if keys := ss.sidecar.keys.current.Load(); judged.keys != keys {
		again, err := judge(judged.token, keys)
		if err != nil {
			ss.sidecar.metrics.authFailed("token")
			return nil, refusedToken(err)
		}
		ss.grant.CompareAndSwap(judged, again) // AUTH may have brought another meanwhile
		judged = again
	}
	if denial := ss.holds(judged.rights, now); denial != capability.Granted {
		ss.sidecar.metrics.authFailed("token")
		return nil, refusedToken(denial.Err())
	}
	if !judged.rights.May(op) {
		return nil, wire.Fault{Reason: wire.ReasonPolicyDenied, Detail: "the token does not grant this operation (op caveat)"}
	}
	return judged.rights, wire.Fault{}
}

func (ss *session) ownUID() bool { return int(ss.peer.UID) == os.Getuid() }

// refusedToken says on the wire why a token was refused.
func refusedToken(err error) wire.Fault {
	reason, ok := wire.ParseReason(capability.ReasonOf(err))
	if !ok {
		reason = wire.ReasonCapInvalid
	}
	return wire.Fault{Reason: reason, Detail: err.Error()}
}
