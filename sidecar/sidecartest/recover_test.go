package sidecartest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// damageFile changes a file of a home.
func damageFile(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// logTable returns the largest table of the log.
func logTable(t *testing.T, home string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(home, "log", "*.sst"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d tables: %v", len(paths), err)
	}
	return slices.MaxFunc(paths, func(a, b string) int {
		x, err1 := os.Stat(a)
		y, err2 := os.Stat(b)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		return int(x.Size() - y.Size())
	})
}

// mustRefuse wants an append refused with safe_mode.
func (l *lived) mustRefuse() {
	l.t.Helper()
	var b client.Batch
	if err := b.Add(&wire.Fields{Kind: wire.KindMint, Account: "a", Amount: wire.AmountOf(1), Nonce: nonceOf(1 << 20)}); err != nil {
		l.t.Fatal(err)
	}
	_, err := l.Append(l.t.Context(), &b)
	var refused *client.ReasonError
	if !errors.As(err, &refused) || refused.Reason != wire.ReasonSafeMode {
		l.t.Errorf("an append in safe mode: %v", err)
	}
}

// TestRecover is the whole round, for every way into safe mode: append, damage, safe mode in which
// what is intact is read, a diagnosis that changes nothing, a loss that is accepted at the right
// number alone, a new epoch, and a ledger that goes on and is sound.
func TestRecover(t *testing.T) {
	const entries = 2000
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, home, early string)
		cut    bool // the log has to be cut
		lost   bool // what is lost is known
	}{
		{"older log beside a newer head file", func(t *testing.T, home, early string) {
			if err := errors.Join(os.RemoveAll(home+"/log"), os.RemoveAll(home+"/state"), os.CopyFS(home+"/log", os.DirFS(early+"/log"))); err != nil {
				t.Fatal(err)
			}
		}, false, true},
		{"older log, no head file, state that knows more", func(t *testing.T, home, early string) {
			if err := errors.Join(os.RemoveAll(home+"/log"), os.Remove(home+"/head"), os.CopyFS(home+"/log", os.DirFS(early+"/log"))); err != nil {
				t.Fatal(err)
			}
		}, false, true},
		{"no head file", func(t *testing.T, home, _ string) {
			if err := os.Remove(home + "/head"); err != nil {
				t.Fatal(err)
			}
		}, false, false},
		{"head file of zeros", func(t *testing.T, home, _ string) {
			damageFile(t, home+"/head", func(b []byte) []byte { return make([]byte, len(b)) })
		}, false, false},
		{"rotten block in the middle", func(t *testing.T, home, _ string) {
			damageFile(t, logTable(t, home), func(b []byte) []byte { b[len(b)/2] ^= 4; return b })
			if err := os.RemoveAll(home + "/state"); err != nil {
				t.Fatal(err)
			}
		}, true, true},
		{"rotten end", func(t *testing.T, home, _ string) {
			damageFile(t, logTable(t, home), func(b []byte) []byte { b[len(b)-5000] ^= 4; return b })
		}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLived(t)
			l.config.Store.Compression = "none"
			home, early := l.config.Home, filepath.Join(ShortDir(t), "early")
			recovering := sidecar.RecoverOptions{Home: home}
			l.start()
			l.mint(1)
			l.stop()
			if err := os.CopyFS(early, os.DirFS(home)); err != nil {
				t.Log(err) // the socket cannot be copied
			}
			l.start()
			for n := 2; n <= entries; n += 50 {
				nonces := []int{}
				for i := n; i < n+50 && i <= entries; i++ {
					nonces = append(nonces, i)
				}
				l.mint(nonces...)
			}
			oldToken, old := tokenIn(t, home), l.Welcome()
			l.stop()
			if _, _, err := sidecar.AcceptLoss(t.Context(), recovering, entries, ""); !errors.Is(err, sidecar.ErrNothingLost) {
				t.Fatalf("a loss of nothing: %v", err)
			}
			tt.damage(t, home, early)

			d, err := sidecar.Diagnose(t.Context(), recovering)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", d)
			if d.Sound || d.Why == "" || tt.lost != (d.LostLast == entries) || tt.lost && d.LostFirst != d.LastGood+1 {
				t.Errorf("%+v", d)
			}
			if again, err := sidecar.Diagnose(t.Context(), recovering); err != nil || again.LastGood != d.LastGood || again.Why != d.Why {
				t.Errorf("a second look: %+v: %v", again, err)
			}

			l.start()
			if _, err := sidecar.Diagnose(t.Context(), recovering); err == nil {
				t.Error("a diagnosis beside a running sidecar")
			}
			status := l.sidecar.Status()
			if status.Ready || !strings.Contains(status.Degraded, "safe_mode") || tt.lost != (len(status.Lost) == 1) {
				t.Errorf("%+v", status)
			}
			l.mustRefuse()
			if status.Size != d.LastGood {
				t.Errorf("safe mode at size %d, the last good one is %d", status.Size, d.LastGood)
			}
			seen := uint64(0)
			for row, err := range l.Entries(t.Context(), 1, d.LastGood) {
				if err != nil {
					t.Fatal(err)
				}
				seen = row.Seq
			}
			if seen != d.LastGood {
				t.Errorf("entries up to %d are read, %d are good", seen, d.LastGood)
			}
			l.stop()

			for _, wrong := range []uint64{d.LastGood + 1, d.LastGood - 1, 0, entries + 1} {
				if wrong == d.LastGood {
					continue
				}
				if _, _, err := sidecar.AcceptLoss(t.Context(), recovering, wrong, ""); err == nil || !strings.Contains(err.Error(), "--accept-loss") {
					t.Errorf("loss accepted at %d: %v", wrong, err)
				}
			}
			begun, aside, err := sidecar.AcceptLoss(t.Context(), recovering, d.LastGood, "a test of loss")
			if err != nil {
				t.Fatal(err)
			}
			if begun.Cut != d.LastGood || begun.Root != [32]byte(d.Root) || begun.Number != 1 || begun.OldLogID != old.LogID ||
				begun.Reason != "a test of loss" || tt.lost && begun.Known != entries || tt.cut != (aside != "") {
				t.Errorf("%+v, aside %q", begun, aside)
			}
			l.start()
			if status := l.sidecar.Status(); !status.Ready || status.Size != d.LastGood+1 || status.Epoch != 1 {
				t.Errorf("%+v", status)
			}
			if c, err := client.Dial(t.Context(), l.options(oldToken)); err == nil {
				_ = c.Close()
				t.Error("a token of the old log id is taken")
			}
			if last := l.mint(entries + 1); last != d.LastGood+2 {
				t.Errorf("the next entry has number %d", last)
			}
			l.stop()
			report, err := sidecar.Verify(t.Context(), home, nil)
			if err != nil || report.Size != d.LastGood+2 || report.Epoch != 1 {
				t.Errorf("%+v: %v", report, err)
			}
			CheckHome(t, home)
			if d, err := sidecar.Diagnose(t.Context(), recovering); err != nil || !d.Sound {
				t.Errorf("%+v: %v", d, err)
			}
		})
	}
}
