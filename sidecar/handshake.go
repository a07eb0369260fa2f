package sidecar

import (
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

// hello answers the first frame of a connection. A connection without a token can
// do nothing but ask for STATUS, and that only when the peer has the sidecar's
// own uid; so anyone else is turned away here.
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
		if !ss.ownUID() {
			ss.sidecar.metrics.authFailed("token")
			return ss.refuse(id, wire.Fault{Reason: wire.ReasonUnauth, Detail: "no token: HELLO carries the token that says what the connection may do"})
		}
		handed = ss.sidecar.identity.OwnToken.Bytes()
		token = handed
	}
	var words []string
	if len(token) > 0 {
		rights, fault := ss.verify(token)
		if !fault.OK() {
			return ss.refuse(id, fault)
		}
		ss.rights.Store(rights)
		words = rights.Words()
	}
	ss.version = wire.Version1
	ss.log.Debug("hello", zap.String("client", m.Client), zap.Strings("rights", words))
	welcome := ss.sidecar.welcome()
	welcome.Version, welcome.Rights, welcome.Token = ss.version, words, handed
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
	rights, fault := ss.verify(m.Token)
	if !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	ss.rights.Store(rights)
	ok := wire.OK{}
	ss.out.send(wire.FrameHeader{Type: wire.FrameOK, RequestID: id}, ok.Append)
	return nil
}

// verify checks a token against the keyring and the connection it came over.
func (ss *session) verify(encoded []byte) (*capability.Rights, wire.Fault) {
	identity := ss.sidecar.identity
	token, err := capability.TokenFromBytes(encoded)
	var rights *capability.Rights
	if err == nil {
		rights, err = capability.Verify(token, identity.Keyring, identity.Revocations)
	}
	if err == nil {
		err = ss.holds(rights, time.Now()).Err()
	}
	if err != nil {
		ss.sidecar.metrics.authFailed("token")
		return nil, refusedToken(err)
	}
	return rights, wire.Fault{}
}

// holds checks the caveats that are about the connection and the time. They are
// checked on every request, since a connection can outlive them.
func (ss *session) holds(rights *capability.Rights, now time.Time) capability.Denial {
	return rights.Session(ss.peer.UID, ss.peer.GID, ss.peer.Groups, ss.sidecar.logID, now.Unix())
}

// authorised returns the rights of the connection when they hold now and allow op.
func (ss *session) authorised(op capability.Op, now time.Time) (*capability.Rights, wire.Fault) {
	rights := ss.rights.Load()
	if rights == nil {
		return nil, wire.Fault{Reason: wire.ReasonUnauth, Detail: "this connection has no token"}
	}
	if denial := ss.holds(rights, now); denial != capability.Granted {
		ss.sidecar.metrics.authFailed("token")
		return nil, refusedToken(denial.Err())
	}
	if !rights.May(op) {
		return nil, wire.Fault{Reason: wire.ReasonPolicyDenied, Detail: "the token does not grant this operation (op caveat)"}
	}
	return rights, wire.Fault{}
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
