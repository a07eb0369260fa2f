package sidecar

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
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
