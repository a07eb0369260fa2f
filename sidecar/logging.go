package sidecar

import (
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// newLogger makes the log on standard error: json in a pod, console for a person.
// Times are UTC, durations seconds in json. A line says what happened; ids and
// figures are fields. No secret is ever a field: key ids and capability ids are.
// Its level can be changed.
func newLogger(c *Config) (*zap.Logger, zap.AtomicLevel, error) {
	out := zapcore.Lock(os.Stderr)
	return newLoggerTo(c, out, term.IsTerminal(int(os.Stderr.Fd())))
}

func newLoggerTo(c *Config, out zapcore.WriteSyncer, terminal bool) (*zap.Logger, zap.AtomicLevel, error) {
	level, err := zap.ParseAtomicLevel(c.Log.Level)
	if err != nil {
		return nil, level, fmt.Errorf("read log.level: %w", err)
	}
	fields := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", NameKey: "part", MessageKey: "message",
		LineEnding: zapcore.DefaultLineEnding, EncodeLevel: zapcore.LowercaseLevelEncoder,
		EncodeTime: zapcore.RFC3339NanoTimeEncoder, EncodeDuration: zapcore.SecondsDurationEncoder,
	}
	encoder := zapcore.NewJSONEncoder(fields)
	if c.Log.Format == "console" || c.Log.Format == "auto" && terminal {
		fields.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		fields.EncodeLevel = zapcore.CapitalLevelEncoder
		if terminal {
			fields.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		fields.EncodeDuration = zapcore.StringDurationEncoder
		fields.ConsoleSeparator = "  "
		encoder = zapcore.NewConsoleEncoder(fields)
	}
	return zap.New(zapcore.NewCore(encoder, out, level), zap.ErrorOutput(out)), level, nil
}

// answerFields say what became of an append.
func answerFields(r *request) []zap.Field {
	fields := []zap.Field{
		zap.Uint64("request", r.id), zap.Uint64("first", r.First), zap.Uint64("last", r.Last), zap.Uint64("size", r.Size),
		zap.Uint32("accepted", r.Accepted), zap.Int("not_new", len(r.Results)),
	}
	for i := range r.Results {
		if reason := r.Results[i].Reason; reason != 0 {
			fields = append(fields, zap.Stringer("reason", reason), zap.String("detail", r.Results[i].Detail))
			break // the first one
		}
	}
	return append(fields, r.session.stamp()...)
}

// stamp names the token of the connection in the log, where it has one.
func (ss *session) stamp() []zap.Field {
	if judged := ss.grant.Load(); judged != nil {
		return stampFields(judged.rights)
	}
	return nil
}

// logStart says in one line all that matters of a start.
func (s *Sidecar) logStart() {
	head, recovered := s.committer.Head(), s.committer.Recovered()
	fields := []zap.Field{
		zap.String("profile", s.config.Profile), zap.String("home", s.config.Home),
		zap.String("socket", s.Socket()), zap.String("https", s.HTTPSAddr()),
		zap.String("name", s.config.Name), zap.String("log_id", hex.EncodeToString(s.logID[:])), zap.Uint64("epoch", s.epoch), zap.Stringer("hash", s.hash),
		zap.Uint64("size", head.Size), zap.Stringer("root", head.Root), zap.Uint64("replayed", recovered.Replayed),
		zap.String("verify_key", s.identity.VerifyKey), zap.Time("cert_not_after", s.https.certificates.notAfter()),
		zap.Int("pid", os.Getpid()), zap.String("version", Version()), zap.String("go", runtime.Version()),
		zap.Duration("took", time.Since(s.started)),
	}
	if reason := s.committer.Refusing(); reason != 0 {
		s.log.Warn("ready, but appends are refused", append(fields, zap.Stringer("reason", reason))...)
		return
	}
	s.log.Info("ready", fields...)
}

// rareLine is a line of the log that is written once in rareLinePause at most, with the number of those that were left out
// since: whoever knocks at the door writes no faster into the log. The zero value is one.
type rareLine struct {
	mu   sync.Mutex
	next time.Time // before it nothing is written
	left uint64
}

const rareLinePause = time.Second

// due reports whether the line is to be written now, and in its field how many were left out.
func (r *rareLine) due(now time.Time) (leftOut zap.Field, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.next) {
		r.left++
		return leftOut, false
	}
	leftOut = zap.Uint64("left_out", r.left)
	r.next, r.left = now.Add(rareLinePause), 0
	return leftOut, true
}
