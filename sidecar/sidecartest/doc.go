// Package sidecartest is the harness that holds the whole ledger to account. It stands
// beside the flow, not in it.
//
// In process, it hands the committer requests that Generate draws from a seed, takes
// its answers, and compares them with those of the independent model in package model
// (Run). A run is a list of steps and a profile, so one that fails is made smaller by
// leaving steps out (Shrink) and can be repeated from the seed that is printed.
//
// CheckLedger takes a store, in any state in which a restart may find it, and audits
// all of it from its log alone.
//
// From outside, it builds the programs, feeds them the bank journal over the socket,
// kills them in the middle, and compares what is left with what is known of the journal.
package sidecartest
