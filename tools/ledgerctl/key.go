package main

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar"
)

func (a *app) keyCommand() *cobra.Command {
	var keyring string
	key := &cobra.Command{
		Use: "key", Short: "the root keys of tokens",
		Long: `The keyring holds the root keys under which tokens are minted and verified. A running sidecar
reads it again within a second. To rotate without a gap: key add, mint new tokens, hand
them out, key retire the old one, and key remove it when its last token has ended.`,
		Example: "  ledgerctl key list\n  ledgerctl key add",
		Args:    unknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	key.PersistentFlags().StringVar(&keyring, "keyring", "", "the keyring (default RON_LEDGER_KEYS_KEYRING, else HOME/keyring)")
	change := func(create bool, did string, do keyChange) func(*cobra.Command, []string) error {
		return func(_ *cobra.Command, args []string) error {
			path, err := a.keyringPath(keyring)
			if err != nil {
				return err
			}
			return a.changeKeyring(path, args, create, did, do)
		}
	}
	key.AddCommand(
		&cobra.Command{
			Use: "list", Short: "print the keys, without their secrets",
			Long:    "List prints a line for each key: its id, when it was made, whether it is in use or\nretired, and which one mints. Secrets are never printed.",
			Example: "  ledgerctl key list", Args: exactly(0),
			RunE: func(*cobra.Command, []string) error {
				path, err := a.keyringPath(keyring)
				if err != nil {
					return err
				}
				return a.listKeys(path)
			},
		},
		&cobra.Command{
			Use: "add", Short: "make a key, which mints from now on",
			Long:    "Add makes a key that mints from now on. Tokens of the other keys stay valid until those\nare removed. A running sidecar takes it up by itself, at once with SIGHUP.",
			Example: "  ledgerctl key add", Args: exactly(0),
			RunE: change(true, "added", addKey),
		},
		&cobra.Command{
			Use: "retire KID", Short: "let a key mint no more; its tokens stay valid",
			Long:    "Retire lets a key mint no more, while the tokens that it has minted stay valid: the step\nbetween add and remove when a key is exchanged.",
			Example: "  ledgerctl key retire 0011223344556677",
			Args:    exactly(1),
			RunE: change(false, "retired", func(ring *capability.Keyring, kid capability.KID) (capability.KID, error) {
				return kid, ring.Retire(kid)
			}),
		},
		&cobra.Command{
			Use: "remove KID", Short: "take a key away; its tokens end now",
			Long:    "Remove takes a key away, and with it every token that it has minted, at the latest when\nthe sidecar reads its keyring again.",
			Example: "  ledgerctl key remove 0011223344556677",
			Args:    exactly(1),
			RunE: change(false, "removed", func(ring *capability.Keyring, kid capability.KID) (capability.KID, error) {
				return kid, ring.Remove(kid)
			}),
		},
	)
	return key
}

// keyChange changes a keyring and returns which key that was about.
type keyChange func(ring *capability.Keyring, named capability.KID) (capability.KID, error)

// addKey makes a key that is newer than all others, so that it is the one that mints.
func addKey(ring *capability.Keyring, _ capability.KID) (capability.KID, error) {
	key := capability.GenerateKey(time.Now().Unix())
	for _, other := range ring.Keys() {
		key.Created = max(key.Created, other.Created+1)
	}
	return key.KID, ring.Add(key)
}

// changeKeyring does something to the key that args name, if they name one.
func (a *app) changeKeyring(path string, args []string, create bool, did string, do keyChange) error {
	var kid capability.KID
	if len(args) == 1 {
		decoded, err := hex.DecodeString(args[0])
		if err != nil || len(decoded) != len(kid) {
			return usagef("a KID has 16 hex digits: ledgerctl key list shows them")
		}
		kid = capability.KID(decoded)
	}
	if err := sidecar.ChangeKeyring(path, create, func(ring *capability.Keyring) (err error) {
		kid, err = do(ring, kid)
		return err
	}); err != nil {
		return fmt.Errorf("change the keyring: %w", err)
	}
	if a.json {
		return printJSON(a.stdout, map[string]string{"did": did, "kid": kid.String()})
	}
	_, err := fmt.Fprintf(a.stdout, "%s %v\n", did, kid)
	return err
}

// keyJSON is what key list --json prints, a line for each key.
type keyJSON struct {
	KID     string `json:"kid"`
	Created string `json:"created"`
	State   string `json:"state"`
	Mints   bool   `json:"mints"` // new tokens are made under it
}

func (a *app) listKeys(path string) error {
	ring, err := sidecar.LoadKeyring(path)
	if err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	minting, mintErr := ring.Minting()
	for _, key := range ring.Keys() {
		row := keyJSON{
			KID: key.KID.String(), Created: time.Unix(key.Created, 0).UTC().Format(time.RFC3339),
			State: key.State.String(), Mints: mintErr == nil && key.KID == minting.KID,
		}
		if a.json {
			err = printJSON(a.stdout, row)
		} else {
			mints := ""
			if row.Mints {
				mints = "  mints"
			}
			_, err = fmt.Fprintf(a.stdout, "%s  %s  %s%s\n", row.KID, row.Created, row.State, mints)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
