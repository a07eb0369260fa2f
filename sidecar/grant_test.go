package sidecar

import (
	"testing"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

// A peer that is let in and brings no token gets what uds.grant says, for its uid and this
// log alone.
func TestGrant(t *testing.T) {
	const uid, other = 4242, 4243
	o := newOuter(t, func(c *Config) {
		c.UDS.AllowUIDs, c.UDS.Grant = []uint32{uid, other}, "op = append; kind = Transfer,Hold ;account = app/*;"
	})
	ss := &session{sidecar: o.Sidecar, peer: peercred.Cred{UID: uid}, log: zap.NewNop()}
	encoded, fault := ss.handOut()
	if !fault.OK() {
		t.Fatal(fault)
	}
	judged, fault := ss.verify(encoded)
	if !fault.OK() {
		t.Fatal(fault)
	}
	rights := judged.rights
	for op, want := range map[capability.Op]bool{capability.OpAppend: true, capability.OpRead: false, capability.OpAdmin: false} {
		if rights.May(op) != want {
			t.Errorf("op %v: %v, want %v", op, !want, want)
		}
	}
	for _, c := range []struct {
		kind    wire.Kind
		account string
		want    bool
	}{
		{wire.KindTransfer, "app/1", true}, {wire.KindHold, "app/1", true}, {wire.KindTransfer, "bank", false},
		{wire.KindMint, "app/1", false}, {wire.KindReverse, "app/1", false},
	} {
		denial := rights.Entry(uint8(c.kind), []byte(c.account), nil, wire.Asset{}, 0, 1)
		if c.kind == wire.KindTransfer {
			denial = rights.Entry(uint8(c.kind), []byte(c.account), []byte("app/2"), wire.Asset{}, 0, 1)
		}
		if (denial == capability.Granted) != c.want {
			t.Errorf("%v of %s: %v, want allowed %v", c.kind, c.account, denial, c.want)
		}
	}
	stranger := &session{sidecar: o.Sidecar, peer: peercred.Cred{UID: other}, log: zap.NewNop()}
	if _, fault := stranger.verify(encoded); fault.OK() {
		t.Error("the token of one uid holds for another")
	}
	elsewhere := newOuter(t, nil)
	if _, fault := (&session{sidecar: elsewhere.Sidecar, peer: ss.peer, log: zap.NewNop()}).verify(encoded); fault.OK() {
		t.Error("the token of one ledger holds for another")
	}
}

// Without uds.grant whoever brings no token is turned away.
func TestNoGrant(t *testing.T) {
	o := newOuter(t, func(c *Config) { c.UDS.AllowUIDs = []uint32{4242} })
	ss := &session{sidecar: o.Sidecar, peer: peercred.Cred{UID: 4242}, log: zap.NewNop()}
	if token, fault := ss.handOut(); fault.Reason != wire.ReasonUnauth || token != nil {
		t.Errorf("token of %d bytes, %v", len(token), fault)
	}
}
