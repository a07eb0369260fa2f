package main

import (
	"context"
	"crypto/rand"
	"flag"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"
)

// tesseraPeer is a transparency log on files. An entry counts when it is integrated
// into the tree; the checkpoint over it is published up to 100 ms later.
var tesseraPeer = peer{
	"tessera", "POSIX, in process; batches of 4,096 or 50 ms, integrated, checkpoints each 100 ms",
	func(ctx context.Context, dir string, _ int) (*instance, error) {
		quiet := flag.NewFlagSet("klog", flag.ContinueOnError)
		klog.InitFlags(quiet)
		_ = quiet.Set("logtostderr", "false")
		_ = quiet.Set("stderrthreshold", "FATAL")
		key, _, err := note.GenerateKey(rand.Reader, "peers.example/log")
		if err != nil {
			return nil, err
		}
		signer, err := note.NewSigner(key)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(ctx)
		driver, err := posix.New(ctx, posix.Config{Path: dir})
		if err != nil {
			cancel()
			return nil, err
		}
		options := tessera.NewAppendOptions().WithCheckpointSigner(signer).WithBatching(4096, 50*time.Millisecond).
			WithCheckpointInterval(100 * time.Millisecond).WithPushback(1 << 20)
		appender, shutdown, _, err := tessera.NewAppender(ctx, driver, options)
		if err != nil {
			cancel()
			return nil, err
		}
		add := func(ctx context.Context, _ int, entries [][]byte) error {
			futures := make([]tessera.IndexFuture, len(entries))
			for i, entry := range entries {
				futures[i] = appender.Add(ctx, tessera.NewEntry(entry))
			}
			for _, future := range futures {
				if _, err := future(); err != nil {
					return err
				}
			}
			return nil
		}
		return &instance{append: add, stop: func() error {
			defer cancel()
			stopping, done := context.WithTimeout(ctx, 30*time.Second)
			defer done()
			return shutdown(stopping)
		}}, nil
	},
}
