//go:build !invariants

package wire

// invariants arms the checks that are too dear for production.
const invariants = false
