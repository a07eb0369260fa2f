package sidecar

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestLogFormats(t *testing.T) {
	for _, test := range []struct {
		format, level string
		terminal      bool
		json          bool
		lines         int
	}{
		{"json", "info", true, true, 2},
		{"json", "debug", false, true, 3},
		{"auto", "warn", false, true, 1},
		{"auto", "error", true, false, 0},
		{"auto", "info", true, false, 2},
		{"console", "info", false, false, 2},
	} {
		var out bytes.Buffer
		c := Defaults(Macronode)
		c.Log.Format, c.Log.Level = test.format, test.level
		log, _, err := newLoggerTo(c, zapcore.AddSync(&out), test.terminal)
		if err != nil {
			t.Fatal(err)
		}
		log.Debug("d")
		log.Named("https").Info("i", zap.Uint64("seq", 7))
		log.Warn("w")
		lines := strings.Count(out.String(), "\n")
		if lines != test.lines {
			t.Errorf("%+v: %d lines:\n%s", test, lines, &out)
		}
		for line := range strings.Lines(out.String()) {
			var fields map[string]any
			err := json.Unmarshal([]byte(line), &fields)
			if (err == nil) != test.json || test.json && (fields["time"] == nil || fields["level"] == nil || fields["message"] == nil) {
				t.Errorf("%+v: %s", test, line)
			}
		}
	}
}

// TestRareLine: a hundred lines a second are one, which counts those that it stands for.
func TestRareLine(t *testing.T) {
	core, seen := observer.New(zap.WarnLevel)
	log, start := zap.New(core), time.Unix(0, 0)
	var line rareLine
	for at := time.Duration(0); at < 3*time.Second; at += 10 * time.Millisecond {
		if left, due := line.due(start.Add(at)); due {
			log.Warn("connection refused", left)
		}
	}
	var left []uint64
	for _, entry := range seen.All() {
		left = append(left, entry.ContextMap()["left_out"].(uint64))
	}
	if !slices.Equal(left, []uint64{0, 99, 99}) {
		t.Errorf("left out: %v", left)
	}
}
