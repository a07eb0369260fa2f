package audit

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// BenchmarkVerify audits 200,000 transfers of 200 bytes among 1,000 accounts.
func BenchmarkVerify(b *testing.B) {
	const commits, each = 200, 1000
	memo := make([]byte, 80)
	var log []request
	for i := range commits {
		var r request
		for k := range each {
			n := uint64(i*each + k)
			f := entryOf(wire.KindTransfer, fmt.Sprintf("acct/%d", n*7919%1000), fmt.Sprintf("acct/%d", n*104729%1000), 1, 0, 0)
			if n < 1000 {
				f = entryOf(wire.KindMint, fmt.Sprintf("acct/%d", n), "", 1_000_000, 0, 0)
			}
			f.Memo = memo
			binary.BigEndian.PutUint64(f.Nonce[:], n+1)
			r.records = append(r.records, record(b, f))
		}
		log = append(log, r)
	}
	rooted(merkle.Blake3, log)
	s := open(b, merkle.Blake3, log)
	for b.Loop() {
		if _, err := Verify(b.Context(), s, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(commits*each)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
