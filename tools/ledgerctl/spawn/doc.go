// Spawn runs a sidecar in a process of its own, for as long as whoever started it lives. It takes the folder for its
// home and flags of ron-ledgerd, starts the same program again, and hands out how to reach it. Its home goes when it is
// stopped.
//
// The process ends with its stdin, so that one whose parent was killed does not stay behind.
package spawn
