package main

import (
	"strconv"
	"strings"
	"time"
)

// parseTime reads a time, a date, or what people say instead, as Unix milliseconds.
func parseTime(s string, now time.Time, absent int64) (ms int64, err error) {
	if s == "" {
		return absent, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly, "2006-01"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	if t, ok := spokenTime(strings.ToLower(strings.Join(strings.Fields(s), " ")), now.UTC()); ok {
		return t.UnixMilli(), nil
	}
	return 0, usagef("%q is no time: 2026-01-31, 2026-01-31T12:00:00Z, yesterday, monday, 90m ago or last month are wanted", s)
}

// spokenTime reads words. A word for a span, such as today, is its beginning.
func spokenTime(s string, now time.Time) (t time.Time, ok bool) {
	day := now.Truncate(24 * time.Hour)
	month := day.AddDate(0, 0, 1-day.Day())
	week := day.AddDate(0, 0, -(int(day.Weekday())+6)%7) // which begins on a Monday (ISO 8601)
	switch s {
	case "now":
		return now, true
	case "today":
		return day, true
	case "yesterday":
		return day.AddDate(0, 0, -1), true
	case "this week":
		return week, true
	case "last week":
		return week.AddDate(0, 0, -7), true
	case "this month":
		return month, true
	case "last month":
		return month.AddDate(0, -1, 0), true
	case "this year":
		return month.AddDate(0, 1-int(month.Month()), 0), true
	case "last year":
		return month.AddDate(-1, 1-int(month.Month()), 0), true
	}
	for weekday := time.Sunday; weekday <= time.Saturday; weekday++ {
		if s == strings.ToLower(weekday.String()) {
			back := (int(day.Weekday()) - int(weekday) + 7) % 7
			return day.AddDate(0, 0, -back), true
		}
	}
	if past, isAgo := strings.CutSuffix(s, " ago"); isAgo {
		return timeAgo(past, now)
	}
	return t, false
}

// timeAgo reads a span that ends now: 90m, 1h30m, 3 days.
func timeAgo(span string, now time.Time) (t time.Time, ok bool) {
	if d, err := time.ParseDuration(span); err == nil && d >= 0 {
		return now.Add(-d), true
	}
	number, unit, _ := strings.Cut(span, " ")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return t, false
	}
	count := int(n)
	switch strings.TrimSuffix(unit, "s") {
	case "second":
		return now.Add(-time.Duration(count) * time.Second), true
	case "minute":
		return now.Add(-time.Duration(count) * time.Minute), true
	case "hour":
		return now.Add(-time.Duration(count) * time.Hour), true
	case "day":
		return now.AddDate(0, 0, -count), true
	case "week":
		return now.AddDate(0, 0, -7*count), true
	case "month":
		return now.AddDate(0, -count, 0), true
	case "year":
		return now.AddDate(-count, 0, 0), true
	}
	return t, false
}
