package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar"
)

// rightsFlags are the flags that say what a token allows.
type rightsFlags struct {
	caveats            []string
	expires, uid, accs string
	out                string
}

func (r *rightsFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&r.caveats, "caveat", nil, "a caveat in words, such as 'kind = Transfer,Hold'; may be repeated")
	flags.StringVar(&r.expires, "expires", "", "when the token ends: a duration from now such as 24h, or a time in RFC 3339")
	flags.StringVar(&r.uid, "uid", "", "uids that may use the token, such as 1000,1001")
	flags.StringVar(&r.accs, "account", "", "accounts that it may touch, such as acct_a,branch/7/*")
	flags.StringVar(&r.out, "out", "", "write the token to a new file, mode 0600, instead of stdout")
}

// parse returns the caveats in the order of the flags. That none is given is an error:
// nobody means a token for everything by saying nothing.
func (r *rightsFlags) parse(now time.Time) ([]capability.Caveat, error) {
	words := append([]string{}, r.caveats...)
	if r.accs != "" {
		words = append(words, "account = "+r.accs)
	}
	if r.uid != "" {
		words = append(words, "uid = "+r.uid)
	}
	if r.expires != "" {
		end := r.expires
		if after, err := time.ParseDuration(r.expires); err == nil {
			if after < time.Second {
				return nil, usagef("--expires %s: the token would have ended already", r.expires)
			}
			end = now.Add(after).UTC().Format(time.RFC3339)
		}
		words = append(words, "expires = "+end)
	}
	if len(words) == 0 {
		return nil, usagef("say what the token allows, such as --caveat 'op = read' or --caveat 'kind = Transfer' --expires 24h")
	}
	var caveats []capability.Caveat
	for _, text := range words {
		c, err := capability.ParseCaveat(text)
		if err != nil {
			return nil, usageError{err}
		}
		caveats = append(caveats, c)
	}
	return caveats, nil
}

// mintedJSON is what token mint --json and narrow --json print.
type mintedJSON struct {
	KID        string `json:"kid"`
	Capability string `json:"capability"`
	Token      string `json:"token,omitempty"`
	File       string `json:"file,omitempty"` // that the token is in
}

// writeToken hands out a token: on stdout, or in a new file.
func (a *app) writeToken(token capability.Token, out string) error {
	info, err := capability.Inspect(token)
	if err != nil {
		return err
	}
	minted := mintedJSON{KID: info.KID.String(), Capability: info.CapabilityID.String(), File: out}
	if out == "" {
		minted.Token = token.Text()
	} else if err := saveToken(token, out); err != nil {
		return err
	}
	switch {
	case a.json:
		return printJSON(a.stdout, &minted)
	case out == "":
		_, err = fmt.Fprintln(a.stdout, minted.Token)
	default:
		_, err = fmt.Fprintf(a.stderr, "wrote %s: capability %s, key %s\n", out, minted.Capability, minted.KID)
	}
	return err
}

// saveToken makes a file with a token that only its user can read. It has to be new: a token that is in use is not
// overwritten by accident, nor is a key.
func saveToken(token capability.Token, out string) error {
	file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write the token: %s is there already: remove it, or choose another --out", out)
	}
	if err != nil {
		return fmt.Errorf("write the token: %w", err)
	}
	_, err = file.WriteString(token.Text() + "\n")
	if err := errors.Join(err, file.Chmod(0o600), file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write the token: %w", err)
	}
	return nil
}

func (a *app) mintTokenCommand() *cobra.Command {
	var rights rightsFlags
	var keyring, log string
	cmd := &cobra.Command{
		Use: "mint", Short: "make a token",
		Long: `Mint makes a token under the newest active key of the keyring, which it has to be able to
read. What the token allows is said in caveats, all of which must hold:

  op = append,read,admin        kind = Transfer,Hold      account = acct_a,branch:7:*
  asset = EUR,USD               amount <= 1000            uid = 1000,1001
  gid = 100                     expires = 2030-01-02T03:04:05Z
  not-before = …                governance = reverse      log = 32 hex digits

Admin, the kinds Mint, Burn and Reverse, and governance are granted only where they are
named. A token is bound to one log: that of the home, else that of the sidecar that
answers at the socket, unless --log or a caveat names another.`,
		Example: "  ledgerctl token mint --caveat 'kind = Transfer,Hold' --caveat 'amount <= 1000' --uid 1000 --expires 24h --out app.token\n" +
			"  ledgerctl token mint --caveat 'op = read' --account 'acct/*'",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			caveats, err := rights.parse(time.Now())
			if err != nil {
				return err
			}
			if caveats, err = a.bindToLog(cmd.Context(), caveats, log); err != nil {
				return err
			}
			path, err := a.keyringPath(keyring)
			if err != nil {
				return err
			}
			ring, err := sidecar.LoadKeyring(path)
			if err != nil {
				return fmt.Errorf("mint a token: %w", err)
			}
			key, err := ring.Minting()
			if err != nil {
				return fmt.Errorf("mint a token: %w", err)
			}
			token, err := capability.Mint(key, caveats...)
			if err != nil {
				return err
			}
			return a.writeToken(token, rights.out)
		},
	}
	rights.add(cmd)
	cmd.Flags().StringVar(&keyring, "keyring", "", "the keyring (default RON_LEDGER_KEYS_KEYRING, else HOME/keyring)")
	cmd.Flags().StringVar(&log, "log", "", "log id that the token is for, 32 hex digits")
	return cmd
}

// bindToLog puts the log caveat first, unless there is one.
func (a *app) bindToLog(ctx context.Context, caveats []capability.Caveat, log string) ([]capability.Caveat, error) {
	for _, c := range caveats {
		if c.Type() == capability.TypeLog {
			return caveats, nil
		}
	}
	bound := func(id [16]byte) []capability.Caveat {
		return append([]capability.Caveat{capability.CaveatLog(id)}, caveats...)
	}
	if log != "" {
		c, err := capability.ParseCaveat("log = " + log)
		if err != nil {
			return nil, usageError{fmt.Errorf("--log: %w", err)}
		}
		return append([]capability.Caveat{c}, caveats...), nil
	}
	home, err := a.homePath()
	if err == nil {
		var id [16]byte
		if id, err = sidecar.LogIDOf(home); err == nil {
			return bound(id), nil
		}
	}
	c, dialErr := a.connect(ctx)
	if dialErr != nil {
		return nil, errors.Join(fmt.Errorf("find the log id: say which with --log: %w", err), dialErr)
	}
	return bound(c.Welcome().LogID), c.Close()
}

func (a *app) narrowTokenCommand() *cobra.Command {
	var rights rightsFlags
	cmd := &cobra.Command{
		Use: "narrow [FILE|-]", Short: "make a token that allows less",
		Long: `Narrow adds caveats to a token, from a file, from stdin, or the one that other commands would
use. It needs neither a key nor a sidecar, and the result never allows more than the
token did. Both have one capability id: revoking it ends both.`,
		Example: "  ledgerctl token narrow app.token --account acct/7 --expires 1h\n" +
			"  ledgerctl token mint --caveat 'op = read' | ledgerctl token narrow - --uid 1000",
		Args: between(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			caveats, err := rights.parse(time.Now())
			if err != nil {
				return err
			}
			token, err := a.token(args)
			if err != nil {
				return fmt.Errorf("narrow a token: %w", err)
			}
			narrowed, err := token.Narrow(caveats...)
			if err != nil {
				return err
			}
			return a.writeToken(narrowed, rights.out)
		},
	}
	rights.add(cmd)
	return cmd
}

// token reads the token that args name, or the one that other commands would use.
func (a *app) token(args []string) (capability.Token, error) {
	text, err := a.tokenText(args)
	if err != nil {
		return capability.Token{}, err
	}
	return capability.ParseToken(strings.TrimSpace(text))
}
