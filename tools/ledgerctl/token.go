package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/peercred/capability"
)

func (a *app) tokenCommand() *cobra.Command {
	token := &cobra.Command{
		Use: "token", Short: "make, narrow, read and revoke capability tokens",
		Long:    "A token says what its holder may do. Mint makes one from the root key, narrow takes rights\nfrom one without any key, inspect prints what one says, and revoke ends it.",
		Example: "  ledgerctl token mint --caveat 'kind = Transfer' --expires 24h --out token",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	token.AddCommand(a.mintTokenCommand(), a.narrowTokenCommand(), a.inspectTokenCommand(), a.revokeTokenCommand())
	return token
}

func (a *app) inspectTokenCommand() *cobra.Command {
	return &cobra.Command{
		Use: "inspect [FILE|-]", Short: "print what a token says",
		Long: `Inspect prints the key id, the capability id and the caveats of a token, from a file, from
stdin, or the one that other commands would use. It needs no key: whether the token
is genuine, only the sidecar can say. It never prints the token itself.`,
		Example: "  ledgerctl token inspect\n  ledgerctl token inspect /run/secrets/ledger-token",
		Args:    between(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := a.tokenText(args)
			if err != nil {
				return err
			}
			return a.inspectToken(text)
		},
	}
}

// maxTokenText bounds what is read as a token, in bytes.
const maxTokenText = 16 << 10

// tokenText returns the text of the token that args name, or of the one that other
// commands would use.
func (a *app) tokenText(args []string) (string, error) {
	path := a.tokenFile
	if len(args) == 1 {
		path = args[0]
	}
	if path == "" {
		if text := a.env("RON_LEDGER_TOKEN"); text != "" {
			return text, nil
		}
		o, err := a.options()
		if err != nil {
			return "", err
		}
		if path = o.TokenFile; path == "" {
			return "", errors.New("find a token: none is configured: say where with --token-file")
		}
	}
	text, err := readLimited(a.stdin, path, maxTokenText)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%w (a micronode hands its own user a token over the socket and keeps no file)", err)
	}
	return string(text), err
}

// inspectedJSON is what token inspect --json prints.
type inspectedJSON struct {
	KID        string   `json:"kid"`
	Capability string   `json:"capability"`
	Caveats    []string `json:"caveats"`
	Allows     []string `json:"allows"`
}

func (a *app) inspectToken(text string) error {
	token, err := capability.ParseToken(strings.TrimSpace(text))
	if err != nil {
		return fmt.Errorf("inspect the token: %w", err)
	}
	info, err := capability.Inspect(token)
	if err != nil {
		return fmt.Errorf("inspect the token: %w", err)
	}
	out := inspectedJSON{KID: info.KID.String(), Capability: info.CapabilityID.String(), Caveats: []string{}, Allows: info.Allows}
	for _, c := range info.Caveats {
		out.Caveats = append(out.Caveats, c.String())
	}
	if a.json {
		return printJSON(a.stdout, out)
	}
	fmt.Fprintf(a.stdout, "kid         %s\ncapability  %s\n", out.KID, out.Capability)
	for _, c := range out.Caveats {
		fmt.Fprintf(a.stdout, "caveat      %s\n", c)
	}
	for _, r := range out.Allows {
		fmt.Fprintf(a.stdout, "allows      %s\n", r)
	}
	return nil
}
