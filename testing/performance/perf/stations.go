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
}

// stations are asked of each stack from its innermost frame outwards; the first frame that one of
// them knows decides. What is called from several (copying, maps, locks) so counts with its caller.
var stations = []station{
	{"sync of the log (fdatasync)", regexp.MustCompile(`unix\.Fdatasync$|guardedFile\)\.SyncData$|unix\.SyncFileRange$`)},
	{"read from the socket", regexp.MustCompile(`^net\.\(\*conn\)\.Read$`)},
	{"write answers to the socket", regexp.MustCompile(`^net\.\(\*conn\)\.Write$`)},
	{"garbage collector", regexp.MustCompile(`^runtime\.(gcBgMarkWorker|gcAssistAlloc|bgsweep|bgscavenge|gcStart|mallocgc)`)},
	{"leaf hash", regexp.MustCompile(`merkle\.(HashKind\.Leaf|blake3Leaf|sha256Leaf)$`)},
	{"tree: nodes, root, tiles", regexp.MustCompile(`/committer/merkle\.`)},
	{"compression of blocks", regexp.MustCompile(`klauspost/compress/s2\.`)},
	{"checkpoint: rows, index tables", regexp.MustCompile(`/store\.\(\*(Store\)\.(Checkpoint|writeCheckpoint)|state\))|/committer\.\(\*Committer\)\.checkpoints`)},
	{"flush and compaction", regexp.MustCompile(`pebble/v2\.\(\*DB\)\.(flush|compact|runCompaction|delete|obsolete|cleanup)|pebble/v2/internal/compact\.|pebble/v2\.\(\*cleanupManager`)},
	{"log: batch, memtable, WAL", regexp.MustCompile(`cockroachdb/pebble|/store\.`)},
	{"frames and shape of entries", regexp.MustCompile(`/ron-ledger/wire\.`)},
	{"caveats", regexp.MustCompile(`capability\.|sidecar\.allowed$`)},
	{"metrics", regexp.MustCompile(`prometheus|/sidecar\.\(\*(metrics|slowest)\)`)},
	{"session: admission, records, answers", regexp.MustCompile(`/ron-ledger/sidecar\.`)},
	{"idempotency", regexp.MustCompile(`/committer\.\(\*(ledger\)\.(repeated|lookUp|remember)|identityFilter)`)},
	{"rules and balances", regexp.MustCompile(`/committer\.\(\*(ledger|accounts)`)},
	{"committer: queue, batches, publishing", regexp.MustCompile(`/ron-ledger/committer\.`)},
	{"scheduler of Go: wake, park, poll", regexp.MustCompile(`^runtime\.`)},
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
	for _, frame := range stack {
		function := strings.TrimSuffix(frame, " (inline)")
		for i := range stations[:len(stations)-1] {
			if stations[i].function.MatchString(function) {
				return stations[i].name
			}
		}
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
