package sidecar

import (
	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred"
)

// storeDescriptors are kept free for the files of the store: the tables that it keeps open, those
// that it writes, the logs, and what is opened for a moment. A connection that took the last one would
// make the next checkpoint fail, and that ends the process.
const storeDescriptors = 600

// shareDescriptors returns how many connections there may be on the socket and over HTTPS, of those
// configured, when so many descriptors are allowed and in use. Where that is too few for all, the
// store gets its part first, at most half of what is free, and the connections the rest, in the
// proportion in which they are configured; each at least 1.
func shareDescriptors(limit uint64, used, uds, https int) (udsMax, httpsMax int) {
	free := max(int(min(limit, 1<<30))-used, 0)
	room := free - min(storeDescriptors, free/2)
	if uds+https <= room {
		return uds, https
	}
	udsMax = max(room*uds/(uds+https), 1)
	return udsMax, max(room-udsMax, 1)
}

// boundConnections lowers the limits of connections to what the descriptors of the process allow.
func (s *Sidecar) boundConnections() error {
	used, limit, err := peercred.Descriptors()
	if err != nil {
		return err
	}
	uds, https := shareDescriptors(limit, used, s.config.UDS.MaxConnections, s.config.HTTPS.MaxConnections)
	if uds < s.config.UDS.MaxConnections || https < s.config.HTTPS.MaxConnections {
		s.log.Warn("few descriptors: fewer connections are taken than are configured: raise the limit of open files (ulimit -n), or lower uds.max_connections and https.max_connections",
			zap.Uint64("descriptors", limit), zap.Int("uds_connections", uds), zap.Int("https_connections", https))
	}
	s.askedConnections = [2]int{s.config.UDS.MaxConnections, s.config.HTTPS.MaxConnections}
	s.config.UDS.MaxConnections, s.config.HTTPS.MaxConnections = uds, https
	return nil
}
