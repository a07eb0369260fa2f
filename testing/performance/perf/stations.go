package main

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// station is a part of an entry's way, and what tells that a sample of the CPU belongs to it.
type station struct {
	name     string
	function *regexp.Regexp
	whole    bool // takes everything below such a frame, whatever else knows it
}

// stations are asked of each stack from its innermost frame outwards; the first frame that one of
// them knows decides. What is called from several (copying, maps, locks) so counts with its caller.
var stations = []station{
	{name: "sync of the log (fdatasync)", function: regexp.MustCompile(`unix\.Fdatasync$|guardedFile\)\.SyncData$|unix\.SyncFileRange$`)},
	{name: "read from the socket", function: regexp.MustCompile(`^net\.\(\*conn\)\.Read$`)},
	{name: "write answers to the socket", function: regexp.MustCompile(`^net\.\(\*conn\)\.Write$`)},
	{name: "garbage collector", function: regexp.MustCompile(`^runtime\.(gcBgMarkWorker|gcAssistAlloc|bgsweep|bgscavenge|gcStart|mallocgc)`)},
	{name: "leaf hash", function: regexp.MustCompile(`merkle\.HashKind\.(Leaf|AppendLeaves)$`), whole: true},
	{name: "tree: nodes, root, tiles", function: regexp.MustCompile(`/committer/merkle\.`)},
	{name: "compression of blocks", function: regexp.MustCompile(`klauspost/compress/s2\.`)},
	{name: "checkpoint: rows, index tables", function: regexp.MustCompile(`/store\.\(\*(Store\)\.(Checkpoint|writeCheckpoint)|state\))|/committer\.\(\*Committer\)\.checkpoints`), whole: true},
	{name: "flush and compaction", function: regexp.MustCompile(`pebble/v2\.\(\*DB\)\.(flush|compact|runCompaction|delete|obsolete|cleanup)|pebble/v2/internal/compact\.|pebble/v2\.\(\*cleanupManager`), whole: true},
	{name: "log: batch, memtable, WAL", function: regexp.MustCompile(`cockroachdb/pebble|/store\.`)},
	{name: "frames and shape of entries", function: regexp.MustCompile(`/ron-ledger/wire\.`)},
	{name: "caveats", function: regexp.MustCompile(`capability\.|sidecar\.allowed$`)},
	{name: "metrics", function: regexp.MustCompile(`prometheus|/sidecar\.\(\*(metrics|slowest)\)`)},
	{name: "session: admission, records, answers", function: regexp.MustCompile(`/ron-ledger/sidecar\.`)},
	{name: "idempotency", function: regexp.MustCompile(`/committer\.\(\*(ledger\)\.(repeated|lookUp|remember)|identityFilter)`)},
	{name: "rules and balances", function: regexp.MustCompile(`/committer\.\(\*(ledger|accounts)`)},
	{name: "committer: queue, batches, publishing", function: regexp.MustCompile(`/ron-ledger/committer\.`)},
	{name: "scheduler of Go: wake, park, poll", function: regexp.MustCompile(`^runtime\.`)},
}

const otherStation = "everything else"

// attribute adds up the samples of `go tool pprof -traces` by station.
func attribute(traces string) map[string]time.Duration {
	sum := map[string]time.Duration{}
	var value time.Duration
	var stack []string
	flush := func() {
		if len(stack) > 0 {
			sum[stationOf(stack)] += value
		}
		stack = stack[:0]
	}
	begun := false
	for line := range strings.Lines(traces) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "---"):
			flush()
			begun = true
		case !begun || line == "":
		case len(stack) == 0:
			amount, function, ok := strings.Cut(line, " ")
			if v, err := parseSample(amount); ok && err == nil {
				value, stack = v, append(stack, strings.TrimSpace(function))
			}
		default:
			stack = append(stack, line)
		}
	}
	flush()
	return sum
}

// stationOf takes a stack, the innermost frame first.
func stationOf(stack []string) string {
	found := ""
	for _, frame := range stack {
		function := strings.TrimSuffix(frame, " (inline)")
		for i := range stations[:len(stations)-1] {
			s := &stations[i]
			if (found == "" || s.whole) && s.function.MatchString(function) {
				found = s.name
			}
		}
	}
	if found != "" {
		return found
	}
	if last := &stations[len(stations)-1]; last.function.MatchString(stack[len(stack)-1]) {
		return last.name // nothing but the runtime
	}
	return otherStation
}

// parseSample reads 10ms, 1.20s, 250us.
func parseSample(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		text += "s"
	}
	return time.ParseDuration(text)
}
