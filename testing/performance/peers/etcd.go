package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// etcdPeer puts the entries of a request in one transaction.
var etcdPeer = peer{
	"etcd", "own process; one member, gRPC over loopback, a request is one transaction of puts",
	func(ctx context.Context, dir string, clients int) (*instance, error) {
		address, i, err := served(ctx, "etcd", dir)
		if err != nil {
			return nil, err
		}
		var connections []*clientv3.Client
		for range min(clients, 16) {
			c, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: 10 * time.Second, MaxCallSendMsgSize: 16 << 20, Logger: zap.NewNop()})
			if err != nil {
				return nil, errors.Join(err, i.stop())
			}
			connections = append(connections, c)
		}
		i.append = func(ctx context.Context, client int, entries [][]byte) error {
			puts := make([]clientv3.Op, len(entries))
			for i, entry := range entries {
				puts[i] = clientv3.OpPut(string(entry[:8]), string(entry))
			}
			_, err := connections[client%len(connections)].Txn(ctx).Then(puts...).Commit()
			return err
		}
		stop := i.stop
		i.stop = func() error {
			for _, c := range connections {
				_ = c.Close() // the server goes away as well
			}
			return stop()
		}
		return i, nil
	},
}

func serveEtcd(dir string) (string, error) {
	c := embed.NewConfig()
	c.Dir, c.LogLevel = dir, "error"
	c.QuotaBackendBytes, c.MaxTxnOps, c.MaxRequestBytes = 8<<30, 4096, 16<<20
	urls := make([]url.URL, 2)
	for i := range urls {
		port, err := freePort()
		if err != nil {
			return "", err
		}
		urls[i] = url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}
	}
	c.ListenClientUrls, c.AdvertiseClientUrls = urls[:1], urls[:1]
	c.ListenPeerUrls, c.AdvertisePeerUrls = urls[1:], urls[1:]
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	e, err := embed.StartEtcd(c)
	if err != nil {
		return "", err
	}
	<-e.Server.ReadyNotify()
	return urls[0].String(), nil
}
