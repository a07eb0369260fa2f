package store

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
)

// Names of the compression of log blocks.
const (
	CompressionS2   = "s2"
	CompressionNone = "none"
)

// Numbers of the hashes in Meta.Hash.
const (
	HashBLAKE3 = 1
	HashSHA256 = 2
)

const (
	defaultMemtableBytes = 16 << 20
	defaultCacheBytes    = 24 << 20
	diskSlowThreshold    = 5 * time.Second
)

// Options says where a store lives and how much memory it takes. Zero values mean the defaults.
type Options struct {
	// Dir is the home. The databases are Dir/log and Dir/state. On a memory file system it may be
	// empty.
	Dir string
	// FS is the file system. Default: the disk.
	FS *FS
	// Compression of the log's blocks: CompressionS2 (default) or CompressionNone. It applies to
	// blocks written from now on; a log may hold both.
	Compression string
	// MemtableBytes is the size of a memtable of the log. It bounds what an unclean start reads
	// again. 256 KiB .. 256 MiB, default 16 MiB. Pebble keeps at most four of them.
	MemtableBytes int64
	// CacheBytes is the room for blocks in the cache that both databases share, next to their
	// memtables; while those are small, blocks may take their room too. 1 MiB .. 1 GiB, default 24 MiB.
	CacheBytes int64
	// LogID and Hash are used at creation alone: the log id (zero = drawn at random) and the hash of
	// the tree (zero = HashBLAKE3). A Hash that differs from that of an existing ledger is an error.
	LogID [16]byte
	Hash  uint8
	// Logger takes what the databases report. Default: nothing is logged.
	Logger *zap.Logger
	// ReadOnly opens what is there and changes nothing but the databases' lock files: no home is
	// made, no state is discarded (StateErr says why it cannot be used), and everything that writes
	// fails. A home that another process has open cannot be opened.
	ReadOnly bool
	// Fatal is called once the log's state on disk is unknown: after a failed write or sync of the
	// log. It MUST NOT return. Default: log the message and exit with 70. It may be called on any
	// goroutine.
	Fatal func(msg string)
}

func (o *Options) setDefaults() {
	if o.Compression == "" {
		o.Compression = CompressionS2
	}
	if o.MemtableBytes == 0 {
		o.MemtableBytes = defaultMemtableBytes
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.FS != nil && o.FS.mem != nil && (o.Dir == "" || o.Dir[0] != '/') {
		o.Dir = "/" + o.Dir // a memory file system has no working directory
		if o.Dir == "/" {
			o.Dir = "/ledger"
		}
	}
}

func (o *Options) validate() error {
	switch {
	case o.Dir == "":
		return fmt.Errorf("check store options: no directory given")
	case o.Compression != CompressionS2 && o.Compression != CompressionNone:
		return fmt.Errorf("check store options: compression %q is neither %q nor %q",
			o.Compression, CompressionS2, CompressionNone)
	case o.MemtableBytes < 256<<10 || o.MemtableBytes > 256<<20:
		return fmt.Errorf("check store options: memtable of %d bytes is outside 256 KiB .. 256 MiB", o.MemtableBytes)
	case o.CacheBytes < 1<<20 || o.CacheBytes > 1<<30:
		return fmt.Errorf("check store options: cache of %d bytes is outside 1 MiB .. 1 GiB", o.CacheBytes)
	case o.Hash > HashSHA256:
		return fmt.Errorf("check store options: unknown hash %d", o.Hash)
	}
	return nil
}

// fileSystem returns the file system to use: on disk one that reports operations that hang.
func (o *Options) fileSystem() (fs vfs.FS, stop func() error) {
	if o.FS != nil {
		return o.FS.fs, func() error { return nil }
	}
	logger := o.Logger
	checked, closer := vfs.WithDiskHealthChecks(slowed(vfs.Default), diskSlowThreshold, nil, func(info vfs.DiskSlowInfo) {
		logger.Warn("disk is slow", zap.String("operation", info.OpType.String()),
			zap.String("path", info.Path), zap.Duration("elapsed", info.Duration))
	})
	return checked, closer.Close
}
