package sidecar

import (
	"path/filepath"

	"go.uber.org/zap"

	"github.com/rustyonions/ron-ledger/peercred"
)

// Harden takes from the process, for good, what a sidecar never needs once it serves: see
// [peercred.Harden], and [peercred.Confine] unless hardening.landlock is off. It says in
// the log what took effect. It is for a process that does nothing but run this sidecar:
// files of others are out of its reach afterwards.
func (s *Sidecar) Harden() {
	took, err := peercred.Harden()
	if err != nil {
		s.log.Warn("the process is not as hard as it could be", zap.Error(err))
	}
	version := 0
	if s.config.Hardening.Landlock == landlockAuto {
		if version, err = peercred.Confine(s.filesNeeded()); err != nil {
			s.log.Warn("the process is not confined to its files", zap.Error(err))
		}
	}
	s.log.Info("hardened", zap.Strings("took", took), zap.Int("landlock", version))
}

// filesNeeded are the folders of what is opened after the start. /proc is for the metrics
// of the process.
func (s *Sidecar) filesNeeded() (readWrite, readOnly []string) {
	readWrite = []string{s.config.Home, filepath.Dir(s.Socket())}
	if s.archiver != nil {
		written, read := s.config.Archive.files()
		readWrite, readOnly = append(readWrite, written...), read
	}
	readOnly = append(append(readOnly, "/proc"), s.config.Stream.NATS.files()...)
	for _, file := range []string{s.config.Keys.Keyring, s.config.Keys.Revocations, s.config.HTTPS.CertFile, s.config.HTTPS.KeyFile, s.config.TLS.ClientCA, s.config.file} {
		if file == "" {
			continue
		}
		if absolute, err := filepath.Abs(file); err == nil {
			readOnly = append(readOnly, filepath.Dir(absolute))
		}
	}
	return readWrite, readOnly
}
