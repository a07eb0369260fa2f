package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar"
)

func (a *app) revokeTokenCommand() *cobra.Command {
	var list, id, kid, why string
	cmd := &cobra.Command{
		Use: "revoke FILE|-|--capability ID|--kid KID", Short: "end a token, or all that a key has minted",
		Long: `Revoke adds a capability id or a key id to the revocation list. A running sidecar reads the
list again within a second; live connections are refused at their next request. A token
ends with all that were narrowed from it, and with the token that it was narrowed from:
they share a capability id, which ledgerctl token inspect and ledgerctl get --json show.`,
		Example: "  ledgerctl token revoke app.token --why 'laptop was stolen'\n" +
			"  ledgerctl token revoke --capability 00112233445566778899aabbccddeeff",
		Args: between(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			line, err := a.revocation(args, id, kid)
			if err != nil {
				return err
			}
			path, err := a.inHome(list, "RON_LEDGER_KEYS_REVOCATIONS", sidecar.RevocationsPath)
			if err != nil {
				return err
			}
			if err := sidecar.Revoke(path, line+"  # "+time.Now().UTC().Format(time.RFC3339)+" "+onOneLine(why)); err != nil {
				return fmt.Errorf("revoke: %w", err)
			}
			if a.json {
				what, revoked, _ := strings.Cut(line, " ")
				return printJSON(a.stdout, map[string]string{what: revoked})
			}
			_, err = fmt.Fprintf(a.stdout, "revoked %s\n", line)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&list, "revocations", "", "the revocation list (default RON_LEDGER_KEYS_REVOCATIONS, else HOME/revocations)")
	flags.StringVar(&id, "capability", "", "capability id, 32 hex digits")
	flags.StringVar(&kid, "kid", "", "key id, 16 hex digits")
	flags.StringVar(&why, "why", "", "a word for people, kept in the list")
	return cmd
}

// revocation returns the line for what is to be revoked: exactly one thing.
func (a *app) revocation(args []string, id, kid string) (string, error) {
	named := len(args)
	for _, flag := range []string{id, kid} {
		if flag != "" {
			named++
		}
	}
	switch {
	case named != 1:
		return "", usagef("say which token: its FILE, - for stdin, --capability ID or --kid KID, and one of them")
	case id != "" || kid != "":
		line := "capability " + id
		if kid != "" {
			line = "kid " + kid
		}
		if _, err := capability.ParseRevocations([]byte(line)); err != nil {
			return "", usageError{err}
		}
		return line, nil
	}
	token, err := a.token(args)
	if err != nil {
		return "", fmt.Errorf("revoke: %w", err)
	}
	info, err := capability.Inspect(token)
	if err != nil {
		return "", fmt.Errorf("revoke: %w", err)
	}
	return "capability " + info.CapabilityID.String(), nil
}

// onOneLine keeps what people say from becoming a line of its own.
func onOneLine(text string) string {
	line := []rune(text)
	for i, r := range line {
		if r < ' ' || r == 0x7f {
			line[i] = ' '
		}
	}
	return string(line)
}

// inHome returns the path that a flag names, else a variable, else the one in the home.
func (a *app) inHome(flag, variable string, path func(home string) string) (string, error) {
	chosen := flag
	if chosen == "" {
		chosen = a.env(variable)
	}
	if chosen == "" {
		home, err := a.homePath()
		if err != nil {
			return "", err
		}
		chosen = path(home)
	}
	absolute, err := filepath.Abs(chosen)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", chosen, err)
	}
	return absolute, nil
}

func (a *app) keyringPath(flag string) (string, error) {
	return a.inHome(flag, "RON_LEDGER_KEYS_KEYRING", sidecar.KeyringPath)
}
