package client

import (
	"github.com/google/uuid"

	"github.com/rustyonions/ron-ledger/wire"
)

// NewNonce makes a nonce: a UUIDv7, which keeps the ledger's index cheap. Make it once
// for a movement, keep it with the movement, and repeat the entry with it.
func NewNonce() wire.Nonce { return wire.Nonce(uuid.Must(uuid.NewV7())) }
