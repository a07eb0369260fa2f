package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
)

// calibrationJSON is what the machine does without us: figures of another machine
// or another day compare as ratios to these.
type calibrationJSON struct {
	Blake3HashesPerSecond float64 `json:"blake3_hashes_per_second"` // of a record of 224 bytes, on one core
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

// calibrateHash returns how many records a second are hashed.
func calibrateHash() float64 {
	record := make([]byte, calibrationRecord)
	start := time.Now()
	for i := range uint64(calibrationHashes) {
		binary.LittleEndian.PutUint64(record, i)
		leaf := merkle.Blake3.Leaf(record)
		record[8] = leaf[0] // the next one waits for this one
	}
	return calibrationHashes / time.Since(start).Seconds()
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
