package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/tools/ledgerctl/monitor"
)

const compareHelp = `Compare reads the states of monitors that stand in different places. A server that shows
each of them another history shows two roots at one size: both signed, which proves it.

States of one size are compared by themselves. Those of different sizes are only with
--url, of a server of this ledger: it has to prove that each goes on to what it publishes.

Exit status: 0 one history; 1 it cannot be told; 4 a fork, and both checkpoints are printed.`

func (a *app) compareCommand() *cobra.Command {
	var key, address, ca string
	cmd := &cobra.Command{
		Use: "compare --key VKEY FILE FILE...", Short: "compare the states of several monitors", Long: compareHelp,
		Example: "  ledgerctl monitor compare --key node.vkey eu.checkpoint us.checkpoint",
		Args:    between(2, 64),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := readLedgerKey(key)
			if err != nil {
				return err
			}
			if ca != "" && address == "" {
				return usagef("--ca is only for --url")
			}
			states, err := readStates(&k, args)
			if err == nil {
				err = a.sameSizes(states)
			}
			if err != nil {
				return err
			}
			if err := a.meet(cmd.Context(), states, address, key, ca); err != nil {
				return err
			}
			if a.json {
				return printJSON(a.stdout, comparedJSON{OneHistory: true, States: len(states)})
			}
			_, err = fmt.Fprintf(a.stdout, "one history: %d states\n", len(states))
			return err
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "verifier key of the ledger, the line itself or a file with it")
	cmd.Flags().StringVar(&address, "url", "", "where the ledger publishes its roots")
	cmd.Flags().StringVar(&ca, "ca", "", "file with the certificate to trust, PEM")
	return cmd
}

// comparedJSON is what monitor compare --json prints.
type comparedJSON struct {
	OneHistory  bool     `json:"one_history"`
	States      int      `json:"states,omitempty"`
	Checkpoints []string `json:"checkpoints,omitempty"` // of a fork: two that exclude each other
}

// seenState is a checkpoint that somebody has, and what was proven to go on from it.
type seenState struct {
	path string
	note []byte
	merkle.Checkpoint
	watcher *monitor.Watcher // Known goes on from the checkpoint
}

func readStates(key *monitor.Key, paths []string) (states []*seenState, err error) {
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read a state: %w", err)
		}
		s := &seenState{path: path, note: text}
		if s.Checkpoint, err = key.Open(text); err != nil {
			return nil, fmt.Errorf("read the state %s: %w", path, err)
		}
		states = append(states, s)
	}
	return states, nil
}

// sameSizes compares the states that are of one size.
func (a *app) sameSizes(states []*seenState) error {
	for i, s := range states {
		for _, other := range states[:i] {
			if s.Size == other.Size && s.Root != other.Root {
				return a.forked(s, other)
			}
		}
	}
	return nil
}

// forked prints both checkpoints: whoever has the key is convinced by them alone.
func (a *app) forked(s, other *seenState) error {
	var err error
	if a.json {
		err = printJSON(a.stdout, comparedJSON{Checkpoints: []string{string(other.note), string(s.note)}})
	} else {
		_, err = fmt.Fprintf(a.stdout, "%s\n%s", other.note, s.note)
	}
	return refutedError{errors.Join(fmt.Errorf("fork: at size %d %s leads to root %v and %s to root %v: the ledger has signed two histories",
		s.Size, other.path, other.Root, s.path, s.Root), err)}
}

// meetTries is how often the server is asked for one checkpoint to which all states
// lead; it may publish another one with each question.
const meetTries = 50

// meet has the server lead all states to one checkpoint, where they differ in size.
func (a *app) meet(ctx context.Context, states []*seenState, address, key, ca string) error {
	together := func(at func(*seenState) uint64) bool {
		return !slices.ContainsFunc(states, func(s *seenState) bool { return at(s) != at(states[0]) })
	}
	if together(func(s *seenState) uint64 { return s.Size }) {
		return nil
	}
	if address == "" {
		return errors.New("compare: the states are of different sizes: say with --url who is to prove that one goes on from the other")
	}
	for _, s := range states {
		w, err := newWatcher(address, key, ca, s.path)
		if err != nil {
			return err
		}
		defer w.HTTP.CloseIdleConnections()
		s.watcher = w
	}
	for range meetTries {
		for _, s := range states {
			if err := s.lead(ctx); err != nil {
				return err
			}
		}
		if together(func(s *seenState) uint64 { return s.watcher.Known.Size }) {
			return a.sameEnds(states)
		}
	}
	return fmt.Errorf("compare: in %d tries %s did not publish one checkpoint long enough: try again when the ledger is less busy", meetTries, address)
}

// sameEnds compares where the states were led to.
func (a *app) sameEnds(states []*seenState) error {
	for _, s := range states {
		s.Checkpoint = s.watcher.Known
	}
	return a.sameSizes(states)
}

// lead takes what the server proves to go on from the state.
func (s *seenState) lead(ctx context.Context) error {
	note, newest, err := s.watcher.Proven(ctx)
	var refuted *monitor.Alarm
	if errors.As(err, &refuted) {
		return refutedError{fmt.Errorf("%s: %w", s.path, err)}
	}
	if err != nil {
		return err
	}
	s.watcher.Known, s.note = newest, note
	return nil
}
