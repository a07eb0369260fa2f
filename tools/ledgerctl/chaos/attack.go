package chaos

import (
	"context"
	"slices"
)

// attack is one kind of evil.
type attack struct {
	name   string
	config string // of the sidecar, TOML
	// do attacks while r.goesOn, lets go, and has each recovery noted. What the sidecar does not stand is a failed
	// check; an error is what kept the attack from being one.
	do     func(ctx context.Context, r *run) error
	moved  []expectation
	amid   bool // the writers have to be served while it lasts
	resume bool // it knows Options.Resume
}

func attacks() []attack {
	return []attack{kill(), diskFill(), slowloris(), stall(), flood(), tlsStorm()}
}

// Attacks returns their names.
func Attacks() (names []string) {
	for _, a := range attacks() {
		names = append(names, a.name)
	}
	return names
}

// Resumes reports whether an attack of that name knows Options.Resume.
func Resumes(name string) bool {
	return slices.ContainsFunc(attacks(), func(a attack) bool { return a.name == name && a.resume })
}
