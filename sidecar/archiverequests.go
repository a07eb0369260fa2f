package sidecar

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rustyonions/ron-ledger/archive/bucket"
)

// archiveRequests counts what is asked of the object store of the archive.
type archiveRequests struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// Outcomes of a request: a conflict is a condition that did not hold, or that could not be
// decided; missing is an object that is not there.
const (
	outcomeDone     = "done"
	outcomeMissing  = "missing"
	outcomeConflict = "conflict"
	outcomeRefused  = "refused"
	outcomeNone     = "no_answer"
)

func newArchiveRequests(registry *prometheus.Registry) *archiveRequests {
	a := &archiveRequests{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ledger_archive_requests_total", Help: "Requests to the object store of the archive, each attempt by itself.",
		}, []string{"method", "outcome"}),
		seconds: prometheus.NewHistogramVec(histogram("ledger_archive_request_seconds",
			"From a request to the object store of the archive to the head of its answer.", latencyBuckets), []string{"method"}),
	}
	registry.MustRegister(a.requests, a.seconds)
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		a.seconds.WithLabelValues(method)
		for _, outcome := range []string{outcomeDone, outcomeMissing, outcomeConflict, outcomeRefused, outcomeNone} {
			a.requests.WithLabelValues(method, outcome)
		}
	}
	return a
}

// observe counts an attempt.
func (a *archiveRequests) observe(attempt bucket.Attempt) {
	outcome := outcomeRefused
	switch status := attempt.Status; {
	case status == 0:
		outcome = outcomeNone
	case status == http.StatusNotFound:
		outcome = outcomeMissing
	case status == http.StatusPreconditionFailed || status == http.StatusConflict:
		outcome = outcomeConflict
	case status < http.StatusMultipleChoices:
		outcome = outcomeDone
	}
	a.requests.WithLabelValues(attempt.Method, outcome).Inc()
	a.seconds.WithLabelValues(attempt.Method).Observe(attempt.Took.Seconds())
}
