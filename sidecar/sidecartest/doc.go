// Package sidecartest is the harness that holds the whole ledger to account. It stands
// beside the flow, not in it: it hands the committer requests that Generate draws from
// a seed, takes its answers, and compares them with those of the independent model in
// package model; and it takes a store, in any state in which a restart may find it,
// and audits all of it with CheckLedger.
//
// A run is a list of steps and a profile, so a run that fails is made smaller by
// leaving steps out, and can be repeated from the seed that is printed.
package sidecartest
