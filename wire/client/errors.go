package client

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

var (
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("client is closed")

	// ErrDisconnected is wrapped by errors of requests that did not reach the
	// server: nothing of them was booked.
	ErrDisconnected = errors.New("not connected")

	// ErrOutcomeUnknown is what every OutcomeUnknownError is, for errors.Is.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// ErrLedgerReplaced is wrapped when behind the socket is another ledger (another
	// log id) than the one that may have booked a batch: to send the batch to this one
	// could book it a second time.
	ErrLedgerReplaced = errors.New("another ledger answers than the one that may have booked this")

	// ErrProtocol is wrapped when the server sent what the protocol does not allow.
	ErrProtocol = errors.New("the server broke the protocol")
)

// ReasonError says that the server refused a whole request, or the connection,
// or that a batch is beyond what the server said it takes. Nothing of a refused
// append was booked.
type ReasonError struct {
	Reason     wire.Reason
	Detail     string        // for people
	Offset     int           // of the offending byte from the start of the request's payload
	RetryAfter time.Duration // when trying again makes sense; 0: not said
}

// Error names the reason and what the server said about it.
func (e *ReasonError) Error() string {
	if e.Detail == "" {
		return e.Reason.String()
	}
	if e.Reason == wire.ReasonMalformed && e.Offset > 0 {
		return e.Reason.String() + " at byte " + strconv.Itoa(e.Offset) + ": " + e.Detail
	}
	return e.Reason.String() + ": " + e.Detail
}

func reasonError(m *wire.ErrorMessage) *ReasonError {
	return &ReasonError{
		Reason: m.Reason, Detail: m.Detail, Offset: int(m.Offset),
		RetryAfter: time.Duration(m.RetryAfterMs) * time.Millisecond,
	}
}

// OutcomeUnknownError says that an append was sent, or may have been, and was not
// answered: it may have been booked, whole or not at all if it was atomic, else
// any of its entries. Sending Batch again tells, and changes nothing that was
// booked.
type OutcomeUnknownError struct {
	Batch *Batch
	Err   error // why there is no answer
}

// Error says why the outcome is unknown.
func (e *OutcomeUnknownError) Error() string {
	return fmt.Sprintf("append %d entries: outcome unknown: %v", e.Batch.Len(), e.Err)
}

// Unwrap returns why there is no answer.
func (e *OutcomeUnknownError) Unwrap() error { return e.Err }

// Is reports that target is ErrOutcomeUnknown.
func (e *OutcomeUnknownError) Is(target error) bool { return target == ErrOutcomeUnknown }

// ForgottenError says that records were asked for that the server no longer
// holds: a micronode keeps a window.
type ForgottenError struct {
	From   uint64 // the first sequence number that was asked for
	Oldest uint64 // the lowest that is still held; 0 when none is
}

// Error names both sequence numbers.
func (e *ForgottenError) Error() string {
	return fmt.Sprintf("read entries from %d: the server has forgotten them, the oldest that it holds is %d", e.From, e.Oldest)
}

// Retryable reports whether the same request can succeed later, and when the
// server said to try again (0: it did not say).
func Retryable(err error) (retryAfter time.Duration, ok bool) {
	var refused *ReasonError
	if errors.As(err, &refused) {
		switch refused.Reason {
		case wire.ReasonBusy, wire.ReasonDraining, wire.ReasonTimeout:
			return refused.RetryAfter, true
		}
		return 0, false
	}
	if errors.Is(err, ErrProtocol) || errors.Is(err, ErrClosed) || errors.Is(err, ErrLedgerReplaced) {
		return 0, false
	}
	return 0, errors.Is(err, ErrDisconnected) || errors.Is(err, ErrOutcomeUnknown)
}
