package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// measured is what a ledger takes: bytes an entry, and bytes of an answer.
type measured struct {
	record, log, state, archived float64
	pruned                       float64 // state, of an entry whose body is in the archive alone
	look, idle                   float64
}

const (
	accounts       = 10_000
	entriesAtATime = 16 // a request, and so at least a commit
)

// measure books entries in a ledger on disk, with an archive, and weighs what is there.
func measure(ctx context.Context, entries int) (m measured, err error) {
	dir, err := os.MkdirTemp("", "scale")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := sidecar.Defaults(sidecar.Macronode)
	c.Home, c.Archive.Dir, c.HTTPS.Addr, c.Log.Level = filepath.Join(dir, "home"), filepath.Join(dir, "archive"), "127.0.0.1:0", "error"
	s, err := sidecar.Start(ctx, c)
	if err != nil {
		return m, err
	}
	if m.record, err = book(ctx, s, entries); err == nil {
		m.look, m.idle, err = weighAnswers(s, c.Home, uint64(entries))
	}
	closing, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := errors.Join(err, s.Close(closing)); err != nil {
		return m, err
	}
	for _, part := range []struct {
		folder string
		bytes  *float64
	}{{filepath.Join(c.Home, "log"), &m.log}, {filepath.Join(c.Home, "state"), &m.state}, {c.Archive.Dir, &m.archived}} {
		sum, err := weigh(part.folder)
		if err != nil {
			return m, err
		}
		*part.bytes = float64(sum) / float64(entries)
	}
	return m, nil
}

// prunedAt is how many entries keep their bodies in measurePruned, and are between two checkpoints.
const prunedAt = 4096

// measurePruned books entries in a ledger that prunes their bodies as soon as they are archived, and weighs its state. state
// is what an entry takes there before.
func measurePruned(ctx context.Context, entries int, state float64) (bytes float64, err error) {
	dir, err := os.MkdirTemp("", "scale")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c := sidecar.Defaults(sidecar.Macronode)
	c.Home, c.Archive.Dir, c.HTTPS.Addr, c.Log.Level = filepath.Join(dir, "home"), filepath.Join(dir, "archive"), "127.0.0.1:0", "error"
	c.Archive.Interval, c.Retention.Keep, c.Checkpoint.IntervalEntries = sidecar.Duration(time.Second), prunedAt, prunedAt
	s, err := sidecar.Start(ctx, c)
	if err != nil {
		return 0, err
	}
	if _, err = book(ctx, s, entries); err == nil {
		err = awaitPruned(ctx, s)
	}
	status := s.Status()
	closing, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := errors.Join(err, s.Close(closing)); err != nil {
		return 0, err
	}
	sum, err := weigh(filepath.Join(c.Home, "state"))
	return state + (float64(sum)-state*float64(status.Size))/float64(status.Oldest-1), err
}

// awaitPruned books on until what is archived is pruned: bodies go behind checkpoints.
func awaitPruned(ctx context.Context, s *sidecar.Sidecar) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		status := s.Status()
		if status.Size-status.Oldest < 4*prunedAt {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("of %d entries those from %d on have their bodies, after a minute", status.Size, status.Oldest)
		}
		if _, err := book(ctx, s, prunedAt); err != nil {
			return err
		}
	}
}

// book books transfers between many accounts, and returns the mean length of a record.
func book(ctx context.Context, s *sidecar.Sidecar, entries int) (record float64, err error) {
	c, err := client.Dial(ctx, client.Options{Socket: s.Socket(), TokenFile: filepath.Join(filepath.Dir(s.Socket()), sidecar.TokenFile)})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	dice, bytes := rand.New(rand.NewPCG(1, 1)), 0
	for booked := 0; booked < entries; {
		var b client.Batch
		for range min(entriesAtATime, entries-booked) {
			f := transfer(dice)
			if booked == 0 {
				f.Kind, f.Counterparty, f.Account, f.Amount = wire.KindMint, "", "bank", wire.AmountOf(1<<62)
			}
			if err := b.Add(&f); err != nil {
				return 0, err
			}
			booked++
		}
		bytes += b.Size() + b.Len()*24
		result, err := c.AppendRetry(ctx, &b)
		if err != nil || int(result.Accepted) != b.Len() {
			return 0, fmt.Errorf("append: %d of %d accepted: %w", result.Accepted, b.Len(), err)
		}
	}
	return float64(bytes) / float64(entries), nil
}

// transfer makes a payment as shops write them.
func transfer(dice *rand.Rand) wire.Fields {
	return wire.Fields{
		Kind: wire.KindTransfer, Account: "bank", Counterparty: fmt.Sprintf("acct/%05d", dice.IntN(accounts)), Asset: wire.Asset{'E', 'U', 'R'},
		Amount: wire.AmountOf(uint64(dice.IntN(100_000)) + 1), Nonce: client.NewNonce(), Timestamp: time.Now().UnixMilli(),
		Memo: fmt.Appendf(nil, "order %08x, invoice 2026-%06d, thank you for your purchase", dice.Uint32(), dice.IntN(1_000_000)),
	}
}

// weighAnswers asks for the roots as a monitor does, ten thousand entries behind, and where there is nothing new.
func weighAnswers(s *sidecar.Sidecar, home string, size uint64) (look, idle float64, err error) {
	pem, err := os.ReadFile(filepath.Join(home, "tls.crt"))
	if err != nil {
		return 0, 0, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}, Timeout: time.Minute}
	defer h.CloseIdleConnections()
	ask := func(since uint64) (float64, error) {
		answer, err := h.Get(fmt.Sprintf("https://%s/roots?proof=1&limit=1&since=%d", s.HTTPSAddr(), since))
		if err != nil {
			return 0, err
		}
		defer func() { _ = answer.Body.Close() }()
		head, err1 := httputil.DumpResponse(answer, false)
		body, err2 := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusOK {
			err2 = errors.Join(err2, fmt.Errorf("%s: %s", answer.Status, body))
		}
		return float64(len(head) + len(body)), errors.Join(err1, err2)
	}
	if look, err = ask(size - min(size, 10_000)); err == nil {
		idle, err = ask(size)
	}
	return look, idle, err
}

// weigh adds up the files below a folder.
func weigh(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
