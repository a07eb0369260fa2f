package sidecar

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

// profiles are those of runtime/pprof that can be asked for, beside cpu. None holds what is in memory.
var profiles = []string{"heap", "allocs", "goroutine"}

const profileDefault = 10 * time.Second

// startAdmin answers ADMIN, in a goroutine of its own. It takes a token that was granted to
// administer by name, from whatever uid it comes: the sidecar's own finds one in the home, or is
// handed it.
func (ss *session) startAdmin(id uint64, payload []byte) error {
	var m wire.Admin
	if fault := m.Decode(payload); !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	rights, fault := ss.authorised(capability.OpAdmin, time.Now())
	if !fault.OK() {
		ss.out.fail(id, fault, 0)
		return nil
	}
	if !ss.countRead() {
		ss.out.fail(id, wire.Fault{Reason: wire.ReasonBusy, Detail: "too many reads in progress on this connection"}, busyRetryAfter)
		return nil
	}
	ss.log.Info("administered", append(stampFields(rights), zap.Stringer("command", m.Command), zap.String("text", m.Text), zap.Uint32("ms", m.Ms), zap.Uint64("request", id))...)
	ss.reads.Go(func() {
		defer ss.readers.Add(-1)
		out := &answerFrames{session: ss, header: wire.FrameHeader{Type: wire.FrameAdminAnswer, RequestID: id}}
		fault := ss.administer(&m, out)
		if fault.OK() {
			_ = out.end() // it is not there any more
			return
		}
		ss.out.fail(id, fault, 0)
	})
	return nil
}

// stampFields name a token in the log.
func stampFields(rights *capability.Rights) []zap.Field {
	id, kid := rights.Stamp()
	return []zap.Field{zap.String("capability", hex.EncodeToString(id[:])), zap.String("kid", hex.EncodeToString(kid[:]))}
}

func (ss *session) administer(m *wire.Admin, out io.Writer) wire.Fault {
	s := ss.sidecar
	took := time.Duration(m.Ms) * time.Millisecond
	if took > traceMax {
		return wire.Fault{Reason: wire.ReasonTooLarge, Offset: 4, Detail: fmt.Sprintf("it may take %v at most", traceMax)}
	}
	var err error
	switch m.Command {
	case wire.AdminLogLevel:
		return s.adminLogLevel(m.Text, out)
	case wire.AdminSlow:
		err = json.NewEncoder(out).Encode(s.slowest.list(s.started))
	case wire.AdminMetrics:
		err = s.metrics.write(out)
	case wire.AdminReload:
		err = json.NewEncoder(out).Encode(s.Reload())
	case wire.AdminConfig:
		_, err = io.WriteString(out, s.live().TOML())
	case wire.AdminProfile, wire.AdminTrace:
		return ss.adminProfile(m, took, out)
	default:
		return wire.Fault{Reason: wire.ReasonMalformed, Detail: "this server knows no such command of administration"}
	}
	if err != nil {
		return ss.failed(m.Command.String(), err)
	}
	return wire.Fault{}
}

// adminLogLevel sets the level of the log, until the next start or a change of log.level.
func (s *Sidecar) adminLogLevel(text string, out io.Writer) wire.Fault {
	if text != "" {
		level, err := zapcore.ParseLevel(text)
		if err != nil || level > zapcore.ErrorLevel {
			return wire.Fault{Reason: wire.ReasonMalformed, Offset: 8, Detail: "a level is debug, info, warn or error"}
		}
		s.level.SetLevel(level)
	}
	_, _ = io.WriteString(out, s.level.Level().String()+"\n") // to memory
	return wire.Fault{}
}

// adminProfile takes a profile or a trace of the process, one at a time.
func (ss *session) adminProfile(m *wire.Admin, took time.Duration, out io.Writer) wire.Fault {
	s := ss.sidecar
	if m.Command == wire.AdminProfile && m.Text != "cpu" && !slices.Contains(profiles, m.Text) {
		return wire.Fault{Reason: wire.ReasonMalformed, Offset: 8, Detail: "a profile is cpu, " + strings.Join(profiles, ", ")}
	}
	if !s.profiling.CompareAndSwap(false, true) {
		return wire.Fault{Reason: wire.ReasonBusy, Detail: "another profile or trace is being taken: one at a time"}
	}
	defer s.profiling.Store(false)
	var err error
	switch {
	case m.Command == wire.AdminTrace:
		err = s.flight.dump(ss.ctx, took, out)
	case m.Text == "cpu":
		if took == 0 {
			took = profileDefault
		}
		if err = pprof.StartCPUProfile(out); err == nil {
			err = waitFor(ss.ctx, took)
			pprof.StopCPUProfile()
		}
	default:
		err = pprof.Lookup(m.Text).WriteTo(out, 0)
	}
	if err != nil {
		return ss.failed("taking "+m.Command.String()+" "+m.Text, err)
	}
	return wire.Fault{}
}
