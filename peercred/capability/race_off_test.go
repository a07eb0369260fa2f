//go:build !race

package capability

// raceEnabled says whether the race detector slows the tests down.
const raceEnabled = false
