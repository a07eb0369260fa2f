package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/codenotary/immudb/pkg/api/schema"
	immudb "github.com/codenotary/immudb/pkg/client"
	"github.com/codenotary/immudb/pkg/server"
)

// immudbPeer keeps keys and values under a Merkle tree. Its default of 30 transactions
// at once refuses 64 clients; an answer does not wait for the index.
var immudbPeer = peer{
	"immudb", "own process; gRPC over loopback, 16 sessions, SetAll with NoWait, sync each 20 ms, 600 transactions at once",
	func(ctx context.Context, dir string, clients int) (*instance, error) {
		address, i, err := served(ctx, "immudb", dir)
		if err != nil {
			return nil, err
		}
		admin, err := immudbSession(ctx, address, dir, "defaultdb")
		if err == nil {
			_, err = admin.CreateDatabaseV2(ctx, "ledger", &schema.DatabaseNullableSettings{
				SyncFrequency: &schema.NullableMilliseconds{Value: 20}, MaxConcurrency: &schema.NullableUint32{Value: 600},
			})
		}
		var sessions []immudb.ImmuClient
		for range min(clients, 16) {
			if err != nil {
				return nil, errors.Join(err, i.stop())
			}
			var session immudb.ImmuClient
			session, err = immudbSession(ctx, address, dir, "ledger")
			sessions = append(sessions, session)
		}
		i.append = func(ctx context.Context, client int, entries [][]byte) error {
			request := &schema.SetRequest{NoWait: true, KVs: make([]*schema.KeyValue, len(entries))}
			for i, entry := range entries {
				request.KVs[i] = &schema.KeyValue{Key: entry[:8], Value: entry}
			}
			_, err := sessions[client%len(sessions)].SetAll(ctx, request)
			return err
		}
		stop := i.stop
		i.stop = func() error {
			closing, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			for _, session := range append(sessions, admin) {
				_ = session.CloseSession(closing) // the server goes away as well
			}
			return stop()
		}
		return i, err
	},
}

func immudbSession(ctx context.Context, address, dir, database string) (immudb.ImmuClient, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, "client")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	options := immudb.DefaultOptions().WithAddress(host).WithPort(port).WithDir(folder).WithDisableIdentityCheck(true).
		WithHeartBeatFrequency(20 * time.Second)
	session := immudb.NewClient().WithOptions(options)
	for patience := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err = session.OpenSession(ctx, []byte("immudb"), []byte("immudb"), database); err == nil || time.Now().After(patience) {
			return session, err
		}
	}
}

func serveImmudb(dir string) (string, error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	options := server.DefaultOptions().WithDir(filepath.Join(dir, "server")).WithAddress("127.0.0.1").WithPort(port).WithMetricsServer(false).
		WithWebServer(false).WithPgsqlServer(false).WithLogfile(filepath.Join(dir, "log"))
	options.SessionsOptions.MaxSessions = 400
	s := server.DefaultServer().WithOptions(options).(*server.ImmuServer)
	if err := s.Initialize(); err != nil {
		return "", err
	}
	go func() { fail(s.Start()) }()
	return fmt.Sprintf("127.0.0.1:%d", port), nil
}
