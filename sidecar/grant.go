package sidecar

import (
	"errors"
	"strings"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

// parseGrant reads uds.grant: caveats in words with ; between them.
func parseGrant(text string) (caveats []capability.Caveat, err error) {
	for words := range strings.SplitSeq(text, ";") {
		if words = strings.TrimSpace(words); words == "" {
			continue
		}
		c, err := capability.ParseCaveat(words)
		if err != nil {
			return nil, err
		}
		if c.Type() == capability.TypeLog || c.Type() == capability.TypeUID {
			return nil, errors.New("log and uid are put in by the sidecar: leave them out")
		}
		caveats = append(caveats, c)
	}
	if len(caveats) == 0 {
		return nil, errors.New("it has no caveat: say what may be done, such as kind = Transfer,Hold")
	}
	return caveats, nil
}

// handOut returns the token of a peer that brought none: for the sidecar's own uid the one
// that a micronode has made for it, or none; for others one of uds.grant. That a peer is
// here at all means that its uid or one of its groups is on the list.
func (ss *session) handOut() ([]byte, wire.Fault) {
	s := ss.sidecar
	switch {
	case ss.ownUID():
		return s.identity.OwnToken.Bytes(), wire.Fault{}
	case s.live().UDS.Grant == "":
		return nil, wire.Fault{Reason: wire.ReasonUnauth, Detail: "no token: HELLO carries the token that says what the connection may do"}
	}
	token, err := mintGrant(s.keys.current.Load().ring, s.logID, ss.peer.UID, s.live().UDS.Grant)
	if err != nil {
		ss.log.Error("no token could be made for a peer (uds.grant)", zap.Error(err))
		return nil, wire.Fault{Reason: wire.ReasonUnauth, Detail: "the sidecar can make no token (uds.grant): see the log of ron-ledgerd"}
	}
	return token.Bytes(), wire.Fault{}
}

// mintGrant makes a token that holds for one uid and one log, so that it is of no use to
// whoever carries it off.
func mintGrant(ring *capability.Keyring, logID [16]byte, uid uint32, grant string) (none capability.Token, err error) {
	key, err := ring.Minting()
	if err != nil {
		return none, err
	}
	caveats, err := parseGrant(grant)
	if err != nil {
		return none, err
	}
	bound, err := capability.CaveatUID(uid)
	if err != nil {
		return none, err
	}
	return capability.Mint(key, append(caveats, capability.CaveatLog(logID), bound)...)
}
