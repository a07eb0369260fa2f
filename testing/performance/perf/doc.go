// Command perf takes the two programs as they are built from this tree, runs them under load on the machine
// that it runs on, and hands over figures: as JSON for programs and as Markdown for people. It measures with
// `ledgerctl bench`, with the benchmarks beside the packages, and with what the kernel says of a process;
// it contains no load generator of its own.
//
//	gate      both profiles against their baselines; fails when one got worse
//	spread    the short gate again and again on one tree: what its tolerances are made from
//	goals     the table of goals, medians of three
//	curve     one home at 1, 3, 10, 30 and 50 million entries
//	soak      60 % of the maximum for half an hour, and what the home is like afterwards
//	budget    where the CPU of an entry goes, station by station
//	knobs     each setting turned by itself, in turns with the default
//
// # Ratios
//
// Machines differ, and one machine differs from hour to hour. So nothing is compared that was not divided by what the
// same machine did beside it: a latency by an fdatasync (in memory: by the time of hashes), a throughput by that of bare Pebble (in
// memory: by hashes a second), CPU by the time of hashes. Calibrations are taken before and after
// each run and count with their mean. Memory needs none.
package main
