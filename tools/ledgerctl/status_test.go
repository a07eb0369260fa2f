package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/sidecar"
)

func TestStatusIsReadAtAGlance(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sound := sidecar.Status{Ready: true, Profile: sidecar.Macronode, Name: "n", Size: 70, RootMs: now.Add(-3 * time.Second).UnixMilli(), CheckpointSize: 60,
		Queue: 1, QueueCapacity: 1000, Waiting: 2, WaitingCapacity: 2000, Connections: 3, ConnectionsMax: 4,
		Disk: &sidecar.DiskStatus{Free: 3 << 30, Total: 10 << 30, Reserve: 256 << 20}, CertNotAfter: now.Unix() + 10*86400 + 1, UptimeS: 7300}
	degraded, lost, small := sound, sound, sound
	degraded.ConfigError = "read configuration: c.toml:1:1: toml: expected '=' after key\n1| x\n | ~"
	degraded.Degraded, degraded.RestartNeeded = "archive: full", []string{"store.cache_bytes"}
	degraded.Archive, degraded.Snapshot = &sidecar.ArchiveStatus{Size: 50, LagEntries: 20, LagS: 90}, &sidecar.SnapshotStatus{TimeMs: now.Add(-72 * time.Hour).UnixMilli(), Size: 40, Bytes: 1536}
	lost.Failure = &sidecar.Failure{TimeMs: now.Add(-5 * time.Minute).UnixMilli(), Why: "append to the log: no space left on device"}
	lost.Ready, lost.Degraded, lost.Lost = false, "safe_mode: the log ends at 70", []sidecar.Span{{First: 71, Last: 80}}
	small.Profile, small.Disk, small.Oldest = sidecar.Micronode, nil, 9
	for name, row := range map[string]struct {
		status    sidecar.Status
		want, not []string
	}{
		"sound": {sound, []string{"ready       yes\n", "70 entries, the last 3s ago", "at 60, 10 behind", "commit 1 of 1000, admission 2 of 2000", "connections 3 of 4",
			"3.0 GiB free of 10.0 GiB, reserve 256.0 MiB", "until 2026-01-12, in 10 days", "up 2h1m", "archive     none", "snapshot    none"}, []string{"lost", "restart", "oldest"}},
		"degraded": {degraded, []string{"ready       yes, but archive: full", "at 50, 20 entries and 1m30s behind", "at 40, 3 days ago, 1.5 KiB", "restart     for store.cache_bytes",
			"config      that before is in force, a start would fail: read configuration: c.toml:1:1: toml: expected '=' after key\n"}, nil},
		"lost": {lost, []string{"ready       NO: safe_mode: the log ends at 70", "lost        entries 71 to 80: see ledgerctl recover",
			"failure     it stopped itself 5m0s ago (status 70): append to the log: no space left on device\n"}, nil},
		"small": {small, []string{"oldest      entry 9"}, []string{"disk", "archive", "snapshot"}},
	} {
		var b strings.Builder
		printStatus(func(name, format string, args ...any) {
			fmt.Fprintf(&b, "%-11s "+format+"\n", append([]any{name}, args...)...)
		}, &row.status, now)
		text := b.String()
		if strings.Count(text, "\n") > 20 {
			t.Errorf("%s: nobody reads that in ten seconds:\n%s", name, text)
		}
		for _, want := range row.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in\n%s", name, want, text)
			}
		}
		for _, not := range row.not {
			if strings.Contains(text, not) {
				t.Errorf("%s: %q in\n%s", name, not, text)
			}
		}
	}
}
