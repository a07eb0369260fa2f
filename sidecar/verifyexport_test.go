package sidecar

import (
	"bytes"
	"testing"

	"github.com/rustyonions/ron-ledger/wire"
)

// FuzzExportedLine reads anything for a line of an export. What is read prints to a line that is
// read to the same record.
func FuzzExportedLine(f *testing.F) {
	f.Add([]byte(`{"seq":7,"kind":"Mint","account":"a","amount":"5","asset":"EUR","nonce":"00000000-0000-7000-8000-000000000001","ts":1,"memo":"é","time":"2026-01-02T03:04:05.678Z","capability":"000102030405060708090a0b0c0d0e0f","kid":"0001020304050607"}`))
	f.Add([]byte(`{"seq":1,"kind":"Epoch"}`))
	f.Add([]byte(`{"capability":"0","kid":""}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := recordOfLine(nil, line)
		if err != nil {
			return
		}
		record, fault := wire.NextRecord(r.Bytes)
		if !fault.OK() || len(record) != len(r.Bytes) {
			t.Fatalf("%s: its record is none: %v", line, fault)
		}
		fields := record.Entry().Fields()
		again, err := recordOfLine(nil, wire.AppendJSON(nil, &fields, wire.Recorded{Seq: 1, TimeMs: 1, Stamp: record.Stamp()}))
		if err != nil || !bytes.Equal(again.Bytes, r.Bytes) {
			t.Errorf("%s: read again it is another record: %v", line, err)
		}
	})
}
