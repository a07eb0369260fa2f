package fleet

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

// membersMax bounds a fleet.
const membersMax = 10_000

// Target is a ledger to follow.
type Target struct {
	URL  string // https://HOST:PORT
	VKey string // the line in HOME/node.vkey
}

// ParseTargets reads a line for each ledger, its URL and its verifier key with blanks between them. Empty lines, and
// those that begin with #, are passed over.
func ParseTargets(text []byte) (targets []Target, err error) {
	for number, row := range bytes.Split(text, []byte("\n")) {
		fields := strings.Fields(string(row))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: %d words where a URL and a verifier key are wanted", number+1, len(fields))
		}
		targets = append(targets, Target{URL: fields[0], VKey: fields[1]})
	}
	return targets, checkTargets(targets)
}

// checkTargets checks each target and that none is there twice: a key is of one ledger.
func checkTargets(targets []Target) error {
	if len(targets) > membersMax {
		return fmt.Errorf("%d ledgers, at most %d are followed at once: use several fleets", len(targets), membersMax)
	}
	urls, keys, ids := map[string]bool{}, map[string]string{}, map[string]string{}
	for _, t := range targets {
		if _, err := monitor.RootsURL(t.URL); err != nil {
			return err
		}
		key, err := monitor.ParseKey(t.VKey)
		if err != nil {
			return fmt.Errorf("read the verifier key of %s: %w", t.URL, err)
		}
		if urls[t.URL] {
			return fmt.Errorf("%s is there twice", t.URL)
		}
		if other, known := keys[string(key.Public)]; known {
			return fmt.Errorf("%s and %s have one verifier key: it is of one ledger", other, t.URL)
		}
		id := logIDOf(key.First.Name())
		if other, known := ids[id]; known {
			return fmt.Errorf("%s and %s have one log id, %s, under two keys", other, t.URL, id)
		}
		urls[t.URL], keys[string(key.Public)], ids[id] = true, t.URL, t.URL
	}
	return nil
}
