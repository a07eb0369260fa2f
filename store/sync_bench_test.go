package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkSync is the floor of a commit: a write of 6,000 bytes and the fdatasync behind it, which makes the file
// longer, lies within what was set aside, or goes over blocks that were written before, as in a WAL that is used again.
func BenchmarkSync(b *testing.B) {
	const block, length = 6000, 16 << 20
	for _, way := range []struct {
		name    string
		prepare func(f *os.File) error
	}{
		{"longer", func(*os.File) error { return nil }},
		{"set-aside", func(f *os.File) error { return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1<<30) }},
		{"again", func(f *os.File) error {
			_, err := f.Write(make([]byte, length))
			return errors.Join(err, f.Sync())
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "file"))
			if err == nil {
				err = way.prepare(f)
			}
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			data := make([]byte, block)
			used, at := systemTime(), int64(0)
			for b.Loop() {
				if _, err := f.WriteAt(data, at); err != nil {
					b.Fatal(err)
				}
				if err := unix.Fdatasync(int(f.Fd())); err != nil {
					b.Fatal(err)
				}
				if at += block; way.name == "again" {
					at %= length - block
				}
			}
			b.ReportMetric(float64(systemTime()-used)/float64(b.N), "system-ns/op")
		})
	}
}

// systemTime returns what the kernel has worked for this process, in nanoseconds.
func systemTime() int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return r.Stime.Nano()
}
