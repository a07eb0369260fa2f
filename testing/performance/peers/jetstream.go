package main

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// jetStreamPeer keeps messages in order and nothing else: a request is one message,
// opaque to it.
var jetStreamPeer = peer{
	"jetstream", "own process; file store, sync_interval always, one replica; a request is one message",
	func(ctx context.Context, dir string, clients int) (*instance, error) {
		address, i, err := served(ctx, "jetstream", dir)
		if err != nil {
			return nil, err
		}
		var streams []nats.JetStreamContext
		for range min(clients, 16) {
			connection, err := nats.Connect(address, nats.MaxReconnects(0))
			if err != nil {
				return nil, errors.Join(err, i.stop())
			}
			stream, err := connection.JetStream(nats.MaxWait(30 * time.Second))
			if err != nil {
				return nil, errors.Join(err, i.stop())
			}
			streams = append(streams, stream)
		}
		_, err = streams[0].AddStream(&nats.StreamConfig{Name: "L", Subjects: []string{"l"}, Storage: nats.FileStorage, Replicas: 1})
		if err != nil {
			return nil, errors.Join(err, i.stop())
		}
		i.append = func(_ context.Context, client int, entries [][]byte) error {
			_, err := streams[client%len(streams)].Publish("l", bytes.Join(entries, nil))
			return err
		}
		return i, nil
	},
}

func serveJetStream(dir string) (string, error) {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, SyncAlways: true, SyncInterval: 2 * time.Minute,
		NoLog: true, NoSigs: true, MaxPayload: 8 << 20, MaxPending: 256 << 20, JetStreamMaxStore: 64 << 30, JetStreamMaxMemory: 1 << 30,
	})
	if err != nil {
		return "", err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return "", errors.New("JetStream is not ready after a minute")
	}
	return s.ClientURL(), nil
}
