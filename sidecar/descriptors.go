package sidecar

import (
	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred"
)

// storeDescriptors are kept free for the files of the store: the tables that it keeps open, those
// that it writes, the logs, and what is opened for a moment. A connection that took the last one would
// make the next checkpoint fail, and that ends the process.
const storeDescriptors = 600

// descriptors are those that the process may have, and those that it had in use when nothing had connected yet. The
// zero value is unknown.
type descriptors struct {
	limit uint64
	used  int
}

// share returns how many connections there may be on the socket and over HTTPS, of those asked for. Where the
// descriptors are too few for all, the store gets its part first, and the connections the rest, in the
// proportion in which they are asked for; each at least 1.
func (d descriptors) share(uds, https int) (udsMax, httpsMax int) {
	if d.limit == 0 {
		return uds, https
	}
	room := d.free() - d.kept()
	if uds+https <= room {
		return uds, https
	}
	udsMax = max(room*uds/(uds+https), 1)
	return udsMax, max(room-udsMax, 1)
}

func (d descriptors) free() int { return max(int(min(d.limit, 1<<30))-d.used, 0) }

// kept is the part of the store: at most half of what is free.
func (d descriptors) kept() int { return min(storeDescriptors, d.free()/2) }

// passing is how many peers may be told at a time why they are not served: few, of what is kept.
func (d descriptors) passing() int { return min(turnAwayMax, d.kept()/8) }

// boundConnections lowers the limits of connections to what the descriptors of the process allow.
func (s *Sidecar) boundConnections() (err error) {
	if s.descriptors.used, s.descriptors.limit, err = peercred.Descriptors(); err != nil {
		return err
	}
	s.turnedAway = make(chan struct{}, s.descriptors.passing())
	s.config.UDS.MaxConnections, s.config.HTTPS.MaxConnections = s.boundedConnections(s.config)
	return nil
}

// boundedConnections returns how many connections there are to be of those that c asks for.
func (s *Sidecar) boundedConnections(c *Config) (uds, https int) {
	uds, https = s.descriptors.share(c.UDS.MaxConnections, c.HTTPS.MaxConnections)
	if uds < c.UDS.MaxConnections || https < c.HTTPS.MaxConnections {
		s.log.Warn("few descriptors: fewer connections are taken than are configured: raise the limit of open files (ulimit -n), or lower uds.max_connections and https.max_connections",
			zap.Uint64("descriptors", s.descriptors.limit), zap.Int("uds_connections", uds), zap.Int("https_connections", https))
	}
	return uds, https
}
