package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire/client"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "print how the sidecar is",
		Long: `Status prints what the sidecar reports about itself: first whether entries are taken, and why
if not, then what it holds, what is behind, how full it is, and what it runs on. Its exit status
is 0 also where the ledger takes no writes: ledgerctl health --ready is for probes. With --json
it prints all that the sidecar says.`,
		Example: "  ledgerctl status\n  ledgerctl status --json | jq .size",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), func(c *client.Client) error {
				text, err := c.Status(cmd.Context())
				if err != nil {
					return err
				}
				if a.json {
					_, err := a.stdout.Write(append(bytes.TrimSpace(text), '\n'))
					return err
				}
				if a.tabular() {
					return a.printing(func(w *bufio.Writer) error { return a.printMembers(w, text) })
				}
				var s sidecar.Status
				if err := json.Unmarshal(text, &s); err != nil {
					return fmt.Errorf("read the status: %w", err)
				}
				return a.printing(func(w *bufio.Writer) error {
					printStatus(func(name, format string, args ...any) {
						fmt.Fprintf(w, "%-11s "+format+"\n", append([]any{name}, args...)...)
					}, &s, time.Now())
					return nil
				})
			})
		},
	}
}

// printMembers prints the members of a JSON object in their order, whatever they are: a newer
// sidecar may report more than this program knows.
func (a *app) printMembers(w *bufio.Writer, report []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(report))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return fmt.Errorf("read the status: the sidecar's report is not a JSON object")
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("read the status: %w", err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return fmt.Errorf("read the status: %w", err)
		}
		word := string(value)
		var text string
		if json.Unmarshal(value, &text) == nil {
			word = text
		}
		if err := a.printCells(w, statusColumns, fmt.Sprint(name), word); err != nil {
			return err
		}
	}
	return nil
}

// printStatus says a status in lines, the most important first.
func printStatus(line func(name, format string, args ...any), s *sidecar.Status, now time.Time) {
	switch {
	case !s.Ready:
		line("ready", "NO: %s", s.Degraded)
	case s.Degraded != "":
		line("ready", "yes, but %s", s.Degraded)
	default:
		line("ready", "yes")
	}
	for _, lost := range s.Lost {
		line("lost", "entries %d to %d: see ledgerctl recover", lost.First, lost.Last)
	}
	if f := s.Failure; f != nil {
		line("failure", "it stopped itself %s ago (status 70): %s", ago(now.Sub(time.UnixMilli(f.TimeMs))), f.Why)
	}
	line("ledger", "%s, %s, %s", s.Name, s.Profile, s.Hash)
	line("log id", "%s, epoch %d", s.LogID, s.Epoch)
	if s.RootMs == 0 {
		line("head", "%d entries", s.Size)
	} else {
		line("head", "%d entries, the last %s ago", s.Size, ago(now.Sub(time.UnixMilli(s.RootMs))))
	}
	line("root", "%s", s.Root)
	if s.Oldest > 1 {
		line("oldest", "entry %d", s.Oldest)
	}
	printBehind(line, s, now)
	line("queues", "commit %d of %d, admission %d of %d", s.Queue, s.QueueCapacity, s.Waiting, s.WaitingCapacity)
	line("connections", "%d of %d", s.Connections, s.ConnectionsMax)
	if d := s.Disk; d != nil {
		line("disk", "%s free of %s, reserve %s", sizeWord(d.Free), sizeWord(d.Total), sizeWord(d.Reserve))
	}
	line("https", "%s", s.HTTPS)
	line("certificate", "until %s, in %d days", time.Unix(s.CertNotAfter, 0).UTC().Format(time.DateOnly), (s.CertNotAfter-now.Unix())/86400)
	line("socket", "%s", s.Socket)
	line("verify key", "%s", s.VerifyKey)
	line("process", "pid %d, up %s, version %s, %s, log level %s", s.PID, ago(time.Duration(s.UptimeS*float64(time.Second))), s.Version, s.GoVersion, s.LogLevel)
	if s.ConfigError != "" {
		what, _, _ := strings.Cut(s.ConfigError, "\n")
		line("config", "that before is in force, a start would fail: %s", what)
	}
	for _, key := range s.RestartNeeded {
		line("restart", "for %s", key)
	}
}

// printBehind says how far the copies of the log are behind it.
func printBehind(line func(name, format string, args ...any), s *sidecar.Status, now time.Time) {
	line("checkpoint", "at %d, %d behind; the start replayed %d", s.CheckpointSize, s.Size-min(s.CheckpointSize, s.Size), s.Replayed)
	if stream := s.Stream; stream != nil {
		line("stream", "at %d, %d entries and %s behind, subject %s", stream.Size, stream.LagEntries, ago(time.Duration(stream.LagS*float64(time.Second))), stream.Subject)
	}
	if s.Profile == sidecar.Micronode {
		return
	}
	switch archive := s.Archive; {
	case archive == nil:
		line("archive", "none (archive.dir)")
	default:
		line("archive", "at %d, %d entries and %s behind", archive.Size, archive.LagEntries, ago(time.Duration(archive.LagS*float64(time.Second))))
	}
	if snapshot := s.Snapshot; snapshot == nil {
		line("snapshot", "none since the start")
	} else {
		line("snapshot", "at %d, %s ago, %s", snapshot.Size, ago(now.Sub(time.UnixMilli(snapshot.TimeMs))), sizeWord(snapshot.Bytes))
	}
}

// ago is a time as people say it, of two units at most.
func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// sizeWord is a number of bytes as people read it.
func sizeWord(bytes uint64) string {
	value, unit := float64(bytes), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
