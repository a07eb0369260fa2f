package sidecar

import (
	"fmt"
	"strings"
)

// Greeting is what ron-ledgerd prints once it is ready: where it listens, and
// what to try next.
func (s *Sidecar) Greeting() string {
	var b strings.Builder
	fmt.Fprintf(&b, "socket  %s\nhttps   https://%s/roots\n", s.Socket(), s.HTTPSAddr())
	home := ""
	if !s.config.homeIsDefault {
		home = " --home " + s.config.Home
	}
	fmt.Fprintf(&b, "\nTry next, in another terminal:\n")
	for _, line := range []string{
		"mint demo/alice 1000",
		"transfer demo/alice demo/bob 250",
		"balances",
	} {
		fmt.Fprintf(&b, "  go run ./tools/ledgerctl%s %s\n", home, line)
	}
	return b.String()
}
