package peercred

import (
	"net"
	"path/filepath"
	"testing"
)

// TestHungUp: a peer has hung up from the moment at which its Close returns, and no earlier.
func TestHungUp(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	for range 200 {
		near, err := net.Dial("unix", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		far, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := near.Write([]byte("left unread")); err != nil {
			t.Fatal(err)
		}
		if HungUp(far) {
			t.Fatal("an open connection has hung up")
		}
		if err := near.(*net.UnixConn).CloseWrite(); err != nil || HungUp(far) {
			t.Fatalf("one that is closed for writing alone has hung up: %v", err)
		}
		if err := near.Close(); err != nil || !HungUp(far) {
			t.Fatalf("one that is closed has not hung up: %v", err)
		}
		if err := far.Close(); err != nil || !HungUp(far) {
			t.Fatalf("one that is closed here has not hung up: %v", err)
		}
	}
	one, other := net.Pipe()
	if _ = other.Close(); HungUp(one) {
		t.Error("a pipe in memory is none of the kernel's")
	}
}
