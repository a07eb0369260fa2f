package sidecar

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// reloadable are the keys that a running sidecar takes up when the configuration is read again: the
// deadlines of a connection for those that come, the others for the next frame or connection.
var reloadable = map[string]bool{
	"log.level": true, "disk.reserve_bytes": true, "governance.reversals": true, "shutdown.timeout": true,
	"uds.allow_uids": true, "uds.allow_gids": true, "uds.grant": true,
	"uds.handshake_timeout": true, "uds.frame_timeout": true, "uds.idle_timeout": true, "uds.write_timeout": true,
	"uds.max_connections": true, "uds.max_connections_per_uid": true, "uds.max_inflight": true, "https.max_connections": true,
	"limits.decompress_ratio": true, "limits.max_entries_per_request": true, "queues.ingress": true, "queues.commit": true,
	"scrub.bytes_per_second": true, "trace.slow_commit": true,
}

// configPoll is how often the file is looked at.
const configPoll = 2 * time.Second

// Reloaded is what came of reading the configuration again.
type Reloaded struct {
	Changed []Change `json:"changed"`         // and in force now
	Restart []Change `json:"restart"`         // they need a restart
	Error   string   `json:"error,omitempty"` // what was before stays in force
}

// live returns the configuration in force. What is not reloadable is as config has it.
func (s *Sidecar) live() *Config {
	if c := s.inForce.Load(); c != nil {
		return c
	}
	return s.config
}

// ReloadWith has Reload read the configuration as well, with load, and watches its file. Call it
// once, after Start.
func (s *Sidecar) ReloadWith(load func() (*Config, error)) {
	s.reloading.Lock()
	s.loadAgain = load
	s.reloading.Unlock()
	if s.config.file != "" {
		s.noteConfig() // what was read at the start is in force
		s.watchers.Go(func() { s.watchConfig(s.ctx, configPoll) })
	}
}

// noteConfig keeps the text of the file, before it is read or as it was: whatever asks for the
// reading, a file that is changed back afterwards has changed.
func (s *Sidecar) noteConfig() {
	if text, err := os.ReadFile(s.config.file); err == nil {
		s.configText.Store(&text)
	}
}

// watchConfig reloads when the file is not what was read last.
func (s *Sidecar) watchConfig(ctx context.Context, interval time.Duration) {
	for waitFor(ctx, interval) == nil {
		text, err := os.ReadFile(s.config.file)
		if known := s.configText.Load(); err != nil || known != nil && bytes.Equal(text, *known) {
			continue // while it is replaced it may not be there
		}
		s.Reload()
	}
}

// reloadConfig puts in force what can be, and says in the log what was and what needs a restart.
func (s *Sidecar) reloadConfig() (r Reloaded) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if s.loadAgain == nil {
		return r
	}
	if s.config.file != "" {
		s.noteConfig()
	}
	read, err := s.loadAgain()
	if err != nil {
		s.log.Error("the configuration could not be read again: that before stays in force", zap.Error(err))
		r.Error = err.Error()
		failed := Reloaded{Error: r.Error}
		if before := s.reloaded.Load(); before != nil {
			failed.Restart = before.Restart
		}
		s.reloaded.Store(&failed)
		return r
	}
	read.UDS.MaxConnections, read.HTTPS.MaxConnections = s.boundedConnections(read)
	next := *s.live()
	for _, change := range next.ChangesTo(read) {
		if !change.Reload {
			r.Restart = append(r.Restart, change)
			continue
		}
		r.Changed = append(r.Changed, change)
		next.take(read, change.Key)
		if change.Key == "log.level" { // ledgerctl may have set another since
			if level, err := zapcore.ParseLevel(read.Log.Level); err == nil {
				s.level.SetLevel(level)
			}
		}
	}
	s.apply(&next)
	s.reloaded.Store(&Reloaded{Restart: r.Restart})
	if len(r.Changed)+len(r.Restart) > 0 {
		s.log.Info("the configuration was read again", zap.Strings("changed", words(r.Changed)), zap.Strings("needs_restart", words(r.Restart)))
	}
	return r
}

// apply puts a configuration in force, and hands its values to those who keep one.
func (s *Sidecar) apply(c *Config) {
	s.disk.reserve.Store(uint64(c.Disk.ReserveBytes))
	s.https.listener.max.Store(int64(c.HTTPS.MaxConnections))
	s.admission.setWaitingMax(c.Queues.Ingress)
	s.committer.SetQueueRequests(c.Queues.Commit)
	if s.scrub != nil {
		s.scrub.rate.Store(int64(c.Scrub.BytesPerSecond))
	}
	s.flight.set(c.Trace.SlowCommit.Duration())
	s.inForce.Store(c)
}

// take copies one key.
func (c *Config) take(from *Config, name string) {
	source := from.keys()
	for i, k := range c.keys() {
		if k.name == name {
			k.value.Set(source[i].value)
		}
	}
}

func words(changes []Change) (list []string) {
	for _, c := range changes {
		list = append(list, fmt.Sprintf("%s: %s to %s", c.Key, c.Before, c.After))
	}
	return list
}
