// Spawn runs a sidecar in a process of its own, for as long as whoever started it lives. It takes the folder for its
// home and flags of ron-ledgerd, starts the same program again, and hands out how to reach it. It can be killed and started
// again on that home, until the home is removed.
//
// The process ends with its stdin, so that one whose parent was killed does not stay behind.
package spawn
