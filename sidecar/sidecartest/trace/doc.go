// Package trace runs a program and decides about each of its system calls: it happens, it fails,
// it happens and is reported as failed, it writes less than it was asked to, or the program is
// killed before it. It tells the program another time of day as well. It stands beside the flow:
// only tests use it.
//
// It does so by ptrace(2), for all threads of one process, on amd64. Calls are numbered in the
// order in which the tracer sees them, over all threads, so that number N is met once and not once
// a thread, as the counters of strace are.
//
//	program ── call N ──▶ stopped ── Call ──▶ Decide ── Verdict ──▶ happens, changed, or not at all
package trace
