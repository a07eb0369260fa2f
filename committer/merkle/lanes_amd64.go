package merkle

import "golang.org/x/sys/cpu"

//go:generate go run ./lanesgen lanes_amd64.s

// haveLanes tells that compress8 can be called. Tests turn it off.
var haveLanes = cpu.X86.HasAVX2

// compress8 is the compression function of BLAKE3 over eight blocks at once, each of its own message, of
// which it is within the first chunk. cvs are the chaining values, and then those behind the blocks; blocks
// point to 64 bytes each; lengths say how many of them count (the others are zero).
//
//go:noescape
func compress8(cvs *[8]Hash, blocks *[8]*byte, lengths, flags *[8]uint32)
