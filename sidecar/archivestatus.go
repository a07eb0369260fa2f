package sidecar

import "time"

// ArchiveStatus is what STATUS says of the archive.
type ArchiveStatus struct {
	Place      string  `json:"place"`  // folder, or URL of the bucket
	Term       uint64  `json:"term"`   // in force; 0: not known yet
	Fenced     bool    `json:"fenced"` // another sidecar has taken the ledger over
	Size       uint64  `json:"size"`   // entries that are archived
	Mode       string  `json:"mode"`
	Stalled    bool    `json:"stalled"`     // commits wait for the archive, and appends are refused
	LagEntries uint64  `json:"lag_entries"` // durable and not archived
	LagS       float64 `json:"lag_s"`       // since everything was
	Segments   uint64  `json:"segments"`
	Bytes      uint64  `json:"bytes"`
	Failures   uint64  `json:"failures"`
	Error      string  `json:"error,omitempty"` // why the newest attempt failed
}

func (a *archiver) status() *ArchiveStatus {
	archived, size := a.writer.Archived(), a.head().Size
	if a.sync != nil {
		size = max(size, a.sync.durable.Load())
	}
	s := &ArchiveStatus{
		Place: a.place, Term: archived.Term, Fenced: a.fenced.Load(), Size: archived.Size, LagEntries: size - min(archived.Size, size), Mode: a.mode(),
		Segments: archived.Segments, Bytes: archived.Bytes, Failures: a.failures.Load(),
	}
	if a.sync != nil {
		s.Stalled = a.sync.stalled.Load()
	}
	why := a.failing.Load()
	if why != nil {
		s.Error = *why
	}
	if s.LagEntries > 0 || why != nil {
		s.LagS = float64(time.Now().UnixMilli()-a.caughtUp.Load()) / 1e3
	}
	return s
}

func (a *archiver) mode() string {
	if a.sync != nil {
		return archiveSync
	}
	return archiveAsync
}
