package sidecartest

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// options say how to connect with the token of the fixture.
func (f *fixture) options(p *Process) client.Options {
	return client.Options{Socket: filepath.Join(p.Home, "ledger.sock"), TokenFile: f.Token}
}

// dialFree is dial for a sidecar that may still count the connection that asked
// whether it is up.
func (f *fixture) dialFree(t *testing.T, p *Process) *client.Client {
	t.Helper()
	var backoff client.Backoff
	for deadline := time.Now().Add(startTimeout); ; {
		c, err := client.Dial(t.Context(), f.options(p))
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		if after, ok := client.Retryable(err); !ok || time.Now().After(deadline) || backoff.Wait(t.Context(), after) != nil {
			t.Fatal(err)
		}
	}
}

// checkError holds the refusal of a whole request against the vector's.
func (v *vector) checkError(t *testing.T, err error) {
	t.Helper()
	var refused *client.ReasonError
	if !errors.As(err, &refused) || refused.Reason.String() != v.Error.Reason || refused.RetryAfter.Milliseconds() != v.Error.RetryAfterMs {
		t.Errorf("it is refused with %v, want %+v", err, *v.Error)
	}
}

// joinCrowd sends the request many times, each with nonces of its own, until one is
// refused. What was refused is not booked: sent again it is new.
func (v *vector) joinCrowd(t *testing.T, f *fixture, p *Process) {
	const connections, rounds = 8, 50
	clients := make([]*client.Client, connections)
	for i := range clients {
		clients[i] = f.dial(t, p)
	}
	refused, sent := 0, 0
	for round := 0; refused == 0; round++ {
		if round == rounds {
			t.Fatalf("of %d crowds of %d requests none was told %s", rounds, v.Crowd, v.Error.Reason)
		}
		var pending []*client.Pending
		for i := range v.Crowd {
			pending = append(pending, clients[i%connections].Submit(t.Context(), v.afresh(t)))
			sent += len(v.Request.Entries)
		}
		for _, one := range pending {
			result, err := one.Wait(t.Context())
			if err != nil {
				refused++
				v.checkError(t, err)
				if result, err = clients[0].AppendRetry(t.Context(), one.Batch()); err != nil {
					t.Fatal(err)
				}
			}
			if result.Accepted != len(v.Request.Entries) {
				t.Errorf("a request is answered with %+v", result)
			}
		}
	}
	head, err := clients[0].Account(t.Context(), "bank")
	if want := uint64(len(v.Before) + sent); err != nil || head.Size != want {
		t.Errorf("the ledger holds %+v, %v, want %d entries", head, err, want)
	}
	t.Logf("%d of %d entries in requests told %s", refused*len(v.Request.Entries), sent, v.Error.Reason)
}

// afresh is the request with new nonces.
func (v *vector) afresh(t *testing.T) *client.Batch {
	t.Helper()
	original, err := v.Request.batch(t)
	if err != nil {
		t.Fatal(err)
	}
	b := new(client.Batch)
	for _, e := range original.All() {
		fields := e.Fields()
		fields.Nonce = wire.Nonce(uuid.Must(uuid.NewV7()))
		if err := b.Add(&fields); err != nil {
			t.Fatal(err)
		}
	}
	return b
}
