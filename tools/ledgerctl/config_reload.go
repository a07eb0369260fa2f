package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
)

func (a *app) configReloadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "have the sidecar read its configuration, keys and certificate again",
		Long: `Reload does what SIGHUP does, and says what came of it: which keys are in force now, and which
need a restart. The sidecar also looks at its file by itself, every two seconds. A file that
cannot be read leaves what was before in force. The token needs the right to administer.`,
		Example: "  ledgerctl config reload",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := a.administer(cmd.Context(), &wire.Admin{Command: wire.AdminReload})
			if err != nil {
				return err
			}
			var r sidecar.Reloaded
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				return fmt.Errorf("read what came of it: %w", err)
			}
			switch {
			case a.json:
				_, err = io.WriteString(a.stdout, text)
			case r.Error == "":
				err = a.printing(func(w *bufio.Writer) error {
					printSplit(w, append(r.Changed, r.Restart...), "in force now:", "after a restart:")
					return nil
				})
			}
			if r.Error != "" {
				err = errors.Join(err, errors.New(r.Error))
			}
			return err
		},
	}
}
