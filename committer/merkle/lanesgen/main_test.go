package main

import (
	"bytes"
	"os"
	"testing"
)

// The committed file is what the generator writes.
func TestCommittedIsGenerated(t *testing.T) {
	committed, err := os.ReadFile("../lanes_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	generate(&b)
	if !bytes.Equal(b.Bytes(), committed) {
		t.Error("lanes_amd64.s is not what lanesgen writes: run go generate ./committer/merkle")
	}
}
