//go:build invariants

package store

// invariants arms the checks that cost too much for production.
const invariants = true
