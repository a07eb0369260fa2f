package main

import (
	"testing"
	"time"
)

func TestAttribute(t *testing.T) {
	const traces = `File: ledgerctl
Type: cpu
-----------+-------------------------------------------------------
     1.50s   internal/runtime/syscall/linux.Syscall6
             syscall.RawSyscall6
             golang.org/x/sys/unix.Fdatasync
             github.com/cockroachdb/pebble/v2/record.(*LogWriter).flushLoop
-----------+-------------------------------------------------------
      20ms   runtime.memmove
             github.com/rustyonions/ron-ledger/sidecar.(*request).fill
             github.com/rustyonions/ron-ledger/sidecar.(*session).append
-----------+-------------------------------------------------------
      30ms   lukechampine.com/blake3/guts.CompressNode (inline)
             github.com/rustyonions/ron-ledger/committer/merkle.blake3Leaf
             github.com/rustyonions/ron-ledger/committer/merkle.HashKind.Leaf
             github.com/rustyonions/ron-ledger/sidecar.(*request).hash
-----------+-------------------------------------------------------
      40ms   runtime.mapaccess2_faststr
             github.com/rustyonions/ron-ledger/committer.(*ledger).account
             github.com/rustyonions/ron-ledger/committer.(*Committer).run
-----------+-------------------------------------------------------
      50ms   runtime.futex
             runtime.findRunnable
             runtime.mcall
-----------+-------------------------------------------------------
      60ms   crypto/tls.(*Conn).Read
`
	got := attribute(traces)
	for name, want := range map[string]time.Duration{
		"sync of the log (fdatasync)":          1500 * time.Millisecond,
		"session: admission, records, answers": 20 * time.Millisecond,
		"leaf hash":                            30 * time.Millisecond,
		"rules and balances":                   40 * time.Millisecond,
		"scheduler of Go: wake, park, poll":    50 * time.Millisecond,
		otherStation:                           60 * time.Millisecond,
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
	if len(got) != 6 {
		t.Errorf("stations %v, want six", got)
	}
}
