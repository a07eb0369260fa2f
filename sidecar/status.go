package sidecar

import (
	"encoding/hex"
	"os"
	"runtime"
	"time"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/wire"
)

// Status is what STATUS answers, as JSON. Members may be added.
type Status struct {
	Ready    bool     `json:"ready"` // writable
	Degraded string   `json:"degraded,omitempty"`
	Lost     []Span   `json:"lost,omitempty"`         // in safe mode: what is missing or cannot be trusted, where that is known
	Failure  *Failure `json:"last_failure,omitempty"` // of an earlier run, which ended with ExitUnknownState
	Profile  string   `json:"profile"`
	Name     string   `json:"name"`
	LogID    string   `json:"log_id"`
	Epoch    uint64   `json:"epoch"`
	Hash     string   `json:"hash"`

	Size   uint64      `json:"size"`
	Root   merkle.Hash `json:"root"`
	RootMs int64       `json:"root_ms,omitempty"`
	Oldest uint64      `json:"oldest,omitempty"` // lowest sequence number that is kept

	CheckpointSize  uint64 `json:"checkpoint_size"`
	Replayed        uint64 `json:"replayed"` // entries replayed at the start
	Queue           int    `json:"queue"`
	QueueCapacity   int    `json:"queue_capacity"`
	Waiting         int    `json:"waiting"` // requests, to be admitted
	WaitingCapacity int    `json:"waiting_capacity"`
	Connections     int    `json:"connections"`
	ConnectionsMax  int    `json:"connections_max"`

	ConnectionsByUID []UIDConnections `json:"connections_by_uid"` // the eight that have most

	Disk          *DiskStatus `json:"disk,omitempty"`
	CertNotAfter  int64       `json:"cert_not_after"` // Unix seconds
	LogLevel      string      `json:"log_level"`
	ConfigError   string      `json:"config_error,omitempty"`   // why the configuration could not be read again
	RestartNeeded []string    `json:"restart_needed,omitempty"` // keys of the configuration that were changed since the start

	Archive  *ArchiveStatus  `json:"archive,omitempty"`
	Stream   *StreamStatus   `json:"stream,omitempty"`
	Snapshot *SnapshotStatus `json:"snapshot,omitempty"` // the newest since the start

	Socket    string `json:"socket"`
	HTTPS     string `json:"https"`
	VerifyKey string `json:"verify_key"`

	PID       int     `json:"pid"`
	UptimeS   float64 `json:"uptime_s"`
	Version   string  `json:"version"`
	GoVersion string  `json:"go_version"`
}

// DiskStatus is about the disk of the home, in bytes.
type DiskStatus struct {
	Free    uint64 `json:"free_bytes"`
	Total   uint64 `json:"total_bytes"`
	Reserve uint64 `json:"reserve_bytes"` // below it entries are refused
}

// Span is a range of sequence numbers, both included.
type Span struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// Status reports how the sidecar is.
func (s *Sidecar) Status() Status {
	head, stats := s.committer.Head(), s.committer.Stats()
	tail, _ := s.store.Last() // what fails to be read is shown as unknown
	status := Status{
		Ready: true, Failure: s.failed, Profile: s.config.Profile, Name: s.config.Name, LogID: hex.EncodeToString(s.logID[:]), Epoch: s.epoch, Hash: s.hash.String(),
		Size: head.Size, Root: head.Root, RootMs: head.TimeMs, Oldest: tail.First,
		CheckpointSize: s.store.Mark().Size, Replayed: s.committer.Recovered().Replayed,
		Queue: stats.QueueRequests, QueueCapacity: stats.QueueCapacity, Connections: s.sessions.count(),
		Socket: s.Socket(), HTTPS: s.HTTPSAddr(), VerifyKey: s.identity.VerifyKey,
		PID: os.Getpid(), UptimeS: time.Since(s.started).Seconds(), Version: Version(), GoVersion: runtime.Version(),
	}
	waits := s.admission.figures()
	status.Waiting, status.WaitingCapacity = waits.waiting, waits.waitingMax
	status.ConnectionsMax, status.ConnectionsByUID = s.live().UDS.MaxConnections, s.sessions.most()
	status.CertNotAfter, status.LogLevel = s.https.certificates.notAfter().Unix(), s.level.String()
	if s.config.Profile == Macronode {
		status.Disk = &DiskStatus{Free: s.disk.free.Load(), Total: s.disk.total.Load(), Reserve: s.disk.reserve.Load()}
	}
	if reloaded := s.reloaded.Load(); reloaded != nil {
		status.ConfigError = reloaded.Error
		for _, change := range reloaded.Restart {
			status.RestartNeeded = append(status.RestartNeeded, change.Key)
		}
	}
	status.Snapshot = s.snapshots.status()
	if s.archiver != nil {
		status.Archive = s.archiver.status()
		if status.Archive.Error != "" {
			status.Degraded = "archive: " + status.Archive.Error
		}
	}
	if s.streamer != nil {
		status.Stream = s.streamer.status()
		if status.Stream.Error != "" && status.Degraded == "" {
			status.Degraded = "stream: " + status.Stream.Error
		}
	}
	if reason := s.committer.Refusing(); reason != 0 {
		status.Ready, status.Degraded = false, reason.String()+": "+s.refusal(reason)
	}
	if loss := s.committer.Loss(); loss != nil && loss.First > 0 {
		status.Lost = []Span{{loss.First, loss.Last}}
	}
	if s.draining.Load() {
		status.Ready, status.Degraded = false, wire.ReasonDraining.String()
	}
	return status
}
