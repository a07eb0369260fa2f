package sidecar

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rustyonions/ron-ledger/committer"
)

// exemplarRate chooses the observations that become exemplars: one a second, and within
// the second each that is half as slow again as the one before it, so that what is slow
// can be found and what is fast costs nothing. That is at most 32 a second, from 100 µs
// to a minute.
type exemplarRate struct{ lastNs, slowestNs int64 }

// due reports whether an observation at nowNs, monotonic, becomes an exemplar.
func (e *exemplarRate) due(nowNs, latencyNs int64) bool {
	if nowNs-e.lastNs < int64(time.Second) && latencyNs <= e.slowestNs+e.slowestNs/2 {
		return false
	}
	e.lastNs, e.slowestNs = nowNs, latencyNs
	return true
}

// exemplar names a request as the log does.
func exemplar(o committer.Origin) prometheus.Labels {
	return prometheus.Labels{
		"connection": strconv.FormatUint(o.Connection, 10), "request": strconv.FormatUint(o.Request, 10),
	}
}
