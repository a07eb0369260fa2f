package main

import (
	"testing"
	"time"
)

func TestTimesInWords(t *testing.T) {
	now := time.Date(2026, time.March, 4, 15, 30, 0, 0, time.UTC) // a Wednesday
	for words, want := range map[string]string{
		"2026-01-31": "2026-01-31T00:00:00.000Z", "2026-01": "2026-01-01T00:00:00.000Z", "2026-01-31T12:00:00+01:00": "2026-01-31T11:00:00.000Z",
		"now": "2026-03-04T15:30:00.000Z", "today": "2026-03-04T00:00:00.000Z", "Yesterday": "2026-03-03T00:00:00.000Z",
		"monday": "2026-03-02T00:00:00.000Z", "wednesday": "2026-03-04T00:00:00.000Z", "thursday": "2026-02-26T00:00:00.000Z",
		"this week": "2026-03-02T00:00:00.000Z", "last week": "2026-02-23T00:00:00.000Z", "this month": "2026-03-01T00:00:00.000Z",
		"last  month": "2026-02-01T00:00:00.000Z", "this year": "2026-01-01T00:00:00.000Z", "last year": "2025-01-01T00:00:00.000Z",
		"90m ago": "2026-03-04T14:00:00.000Z", "1 hour ago": "2026-03-04T14:30:00.000Z", "2 weeks ago": "2026-02-18T15:30:00.000Z",
		"3 days ago": "2026-03-01T15:30:00.000Z", "1 year ago": "2025-03-04T15:30:00.000Z", "30 seconds ago": "2026-03-04T15:29:30.000Z",
		"1 month ago": "2026-02-04T15:30:00.000Z", "45 minutes ago": "2026-03-04T14:45:00.000Z",
	} {
		if ms, err := parseTime(words, now, 0); err != nil || timeWord(ms) != want {
			t.Errorf("%q: %s, %v, want %s", words, timeWord(ms), err, want)
		}
	}
	for _, words := range []string{"someday", "ago", "3 ago", "-1h ago", "3 fortnights ago", "2026-13-01", "-3 days ago"} {
		if ms, err := parseTime(words, now, 0); err == nil {
			t.Errorf("%q is %s", words, timeWord(ms))
		}
	}
}
