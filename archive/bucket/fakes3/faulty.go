package fakes3

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"time"
)

// Fault is what happens to a request on its way. The zero Fault passes it on.
type Fault struct {
	Delay  time.Duration // before it is passed on, or refused
	Status int           // it is not passed on, and answered with this
	// Lost: it is not passed on, and the connection ends. Unanswered: it is passed on, then the
	// connection ends. Hangs: it is passed on, and the answer comes never.
	Lost, Unanswered, Hangs bool
	// Again: it is passed on twice, the second time so much later, in the background.
	Again time.Duration
	// Late: the connection ends at once, and it is passed on so much later.
	Late time.Duration
}

// Faulty passes requests on to Next as Decide has it, which is asked from several goroutines at once.
type Faulty struct {
	Next   http.Handler
	Decide func(*http.Request) Fault
}

// ServeHTTP answers a request, or does not.
func (f *Faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := f.Decide(r)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	pass := func(w http.ResponseWriter, ctx context.Context) {
		again := r.Clone(ctx)
		again.Body = io.NopCloser(bytes.NewReader(body))
		f.Next.ServeHTTP(w, again)
	}
	later := func(after time.Duration) {
		time.AfterFunc(after, func() { pass(httptest.NewRecorder(), context.Background()) })
	}
	select {
	case <-r.Context().Done():
		return
	case <-time.After(fault.Delay):
	}
	switch {
	case fault.Status != 0:
		code := http.StatusText(fault.Status)
		if fault.Status == http.StatusConflict {
			code = "ConditionalRequestConflict"
		}
		refuse(w, fault.Status, code)
		return
	case fault.Late > 0:
		later(fault.Late)
		panic(http.ErrAbortHandler)
	case fault.Lost:
		panic(http.ErrAbortHandler)
	case fault.Unanswered:
		pass(httptest.NewRecorder(), context.Background())
		panic(http.ErrAbortHandler)
	case fault.Hangs:
		pass(httptest.NewRecorder(), context.Background())
		<-r.Context().Done()
		return
	case fault.Again > 0:
		later(fault.Again)
	}
	pass(w, r.Context())
}
