package peercred

import (
	"fmt"
	"os"
	"slices"
)

// Policy says who may connect. A peer is allowed if its uid is in UIDs, or its gid
// or one of its supplementary groups is in GIDs. Where both are empty, the uid of
// this process is allowed and no other. The overflow id is never allowed, even
// where it is listed. The zero Policy is ready to use.
type Policy struct {
	UIDs []uint32
	GIDs []uint32
}

// DeniedError says that a policy does not allow a peer.
type DeniedError struct {
	Cred   Cred
	Policy Policy // with the own uid filled in where it listed nothing
}

func (e *DeniedError) Error() string {
	if e.Cred.UID == OverflowID {
		return (&OverflowError{Cred: e.Cred}).Error()
	}
	unread := ""
	if e.Cred.GroupsUnread {
		unread = fmt.Sprintf("; the peer has more than %d supplementary groups, so only its gid was compared", groupsMax)
	}
	return fmt.Sprintf("check peer: %v is not allowed (uids %v, gids %v)%s: add uid %d to the allowed uids, "+
		"or gid %d to the allowed gids", e.Cred, e.Policy.UIDs, e.Policy.GIDs, unread, e.Cred.UID, e.Cred.GID)
}

// Check returns nil if the policy allows the peer, and a *DeniedError otherwise.
func (p Policy) Check(c Cred) error {
	if c.UID != OverflowID && p.allows(c) {
		return nil
	}
	return &DeniedError{Cred: c, Policy: p.effective()}
}

func (p Policy) allows(c Cred) bool {
	if len(p.UIDs) == 0 && len(p.GIDs) == 0 {
		return c.UID == uint32(os.Geteuid())
	}
	return slices.Contains(p.UIDs, c.UID) || slices.ContainsFunc(p.GIDs, c.InGroup)
}

func (p Policy) effective() Policy {
	if len(p.UIDs) == 0 && len(p.GIDs) == 0 {
		return Policy{UIDs: []uint32{uint32(os.Geteuid())}}
	}
	return p
}
