package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// calibrationJSON is what the machine does without us: figures of another machine
// or another day compare as ratios to these.
type calibrationJSON struct {
	Blake3HashesPerSecond float64 `json:"blake3_hashes_per_second"` // of a record of 224 bytes, in a second of CPU of one core
	FdatasyncP50Ms        float64 `json:"fdatasync_p50_ms"`         // behind a write of 3 KB
	FdatasyncP99Ms        float64 `json:"fdatasync_p99_ms"`
}

const (
	calibrationHashes = 300_000
	calibrationRecord = 224 // bytes
	calibrationSyncs  = 400
	calibrationWrite  = 3 << 10 // bytes
)

// calibrate measures in a folder of the disk that is measured.
func calibrate(dir string) (*calibrationJSON, error) {
	syncs, err := calibrateSyncs(dir)
	if err != nil {
		return nil, fmt.Errorf("calibrate: %w", err)
	}
	ms := func(q float64) float64 { return syncs[int(q*float64(len(syncs)-1))].Seconds() * 1e3 }
	return &calibrationJSON{calibrateHash(), ms(0.5), ms(0.99)}, nil
}

// calibrateHash returns how many records are hashed in a second of CPU: what else runs
// on the machine takes time away, and that is not for the hash to answer for.
func calibrateHash() float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	record := make([]byte, calibrationRecord)
	start := threadCPU()
	for i := range uint64(calibrationHashes) {
		binary.LittleEndian.PutUint64(record, i)
		leaf := merkle.Blake3.Leaf(record)
		record[8] = leaf[0] // the next one waits for this one
	}
	return calibrationHashes / (threadCPU() - start).Seconds()
}

// threadCPU returns what this thread has used.
func threadCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// calibrateSyncs returns the sorted times of a write at the end of a file and the
// fdatasync behind it.
func calibrateSyncs(dir string) (times []time.Duration, err error) {
	path := filepath.Join(dir, "calibration")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	block := make([]byte, calibrationWrite)
	for range calibrationSyncs {
		start := time.Now()
		if _, err := file.Write(block); err != nil {
			return nil, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return nil, fmt.Errorf("fdatasync: %w", err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times, nil
}
