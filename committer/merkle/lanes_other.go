//go:build !amd64

package merkle

var haveLanes = false

// compress8 is for processors that have lanes.
func compress8(*[8]Hash, *[8]*byte, *[8]uint32, *[8]uint32) { panic("merkle: no lanes") }
