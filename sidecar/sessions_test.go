package sidecar

import (
	"os"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/peercred"
)

// TestOwnConnectionsAreKept has others take all connections that they can: the sidecar's own uid still has some, and nobody
// has more than there are.
func TestOwnConnectionsAreKept(t *testing.T) {
	own, other := peercred.Cred{UID: uint32(os.Geteuid())}, peercred.Cred{UID: uint32(os.Geteuid()) + 1}
	for _, row := range []struct{ most, others, own int }{{64, 56, 8}, {1024, 1016, 8}, {16, 14, 2}, {7, 7, 0}, {1, 1, 0}} {
		var table sessionTable
		table.init()
		conn := newPeer(t)
		limits := &UDSConfig{MaxConnections: row.most, MaxConnectionsPerUID: 1 << 16}
		take := func(peer peercred.Cred) (taken int) {
			for {
				distinct := *conn // the table knows connections by their address
				why := table.admit(&distinct, peer, limits)
				if why == "" {
					taken++
					continue
				}
				if !strings.Contains(why, "uds.max_connections") {
					t.Errorf("%+v: refused with %q", row, why)
				}
				return taken
			}
		}
		if others, own := take(other), take(own); others != row.others || own != row.own {
			t.Errorf("of %d others took %d and the own uid %d, want %d and %d", row.most, others, own, row.others, row.own)
		}
	}
}
