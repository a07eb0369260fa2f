package main

import (
	"github.com/spf13/cobra"
)

const rootHelp = `ledgerctl talks to a ron-ledger sidecar over its Unix-domain socket.

It finds the sidecar by itself: --socket, else RON_LEDGER_SOCKET, else ledger.sock
in the home: --home, else RON_LEDGER_HOME, else $XDG_STATE_HOME/ron-ledger, else
~/.local/state/ron-ledger. The token comes from --token-file, else from the text in
RON_LEDGER_TOKEN, else from the file token in the home; where there is none, the
sidecar decides by the uid alone. Before anything is sent the operating system is asked
who runs the server: --server-uid, else RON_LEDGER_SERVER_UID, else this user, root or the
owner of the socket's folder.

Exit status:
  0  done; append: every entry was accepted or a duplicate
  1  failed; the error says what to do next
  2  the command line is wrong
  3  append and the single entries: some entries were rejected
  4  verify, verify-receipt, monitor, fleet: what was checked does not hold
  5  monitor --once: nothing newer was published for --max-age`

const rootExample = `  ledgerctl mint bank 1000000            make money in an account
  ledgerctl transfer bank acct/a 250     move some of it
  ledgerctl balances                     see where it is
  ledgerctl append entries.jsonl.gz      send a whole file`

// rootCommand builds the command line.
func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "ledgerctl", Short: "the command line of ron-ledger", Long: rootHelp, Example: rootExample,
		SilenceErrors: true, SilenceUsage: true, SuggestionsMinimumDistance: 2,
		Args: unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w: see %s --help", err, cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.home, "home", "", "folder of the ledger")
	flags.StringVar(&a.socket, "socket", "", "socket of the sidecar (default HOME/ledger.sock)")
	flags.StringVar(&a.tokenFile, "token-file", "", "file with the token (default HOME/token)")
	flags.StringVar(&a.serverUID, "server-uid", "", "uids, with commas, of which one has to run the sidecar (default: this one, 0, the owner of the socket's folder)")
	flags.BoolVar(&a.json, "json", false, "print JSON, the same as --output json")
	flags.StringVar(&a.output, "output", "", "table, tsv or csv with a header, or json (default lines)")
	flags.IntVar(&a.scale, "scale", 0, "digits behind the point of amounts, read and printed; JSON keeps whole numbers")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.checkOutput(cmd) }
	root.AddGroup(
		&cobra.Group{ID: groupWrite, Title: "Write:"}, &cobra.Group{ID: groupRead, Title: "Read:"},
		&cobra.Group{ID: groupProve, Title: "Prove:"}, &cobra.Group{ID: groupBackup, Title: "Back up and restore:"}, &cobra.Group{ID: groupOperate, Title: "Operate:"},
		&cobra.Group{ID: groupOther, Title: "Other:"},
	)
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
	a.addCommands(root)
	return root
}

// Groups of commands in the help.
const (
	groupWrite   = "write"
	groupRead    = "read"
	groupProve   = "prove"
	groupBackup  = "backup"
	groupOperate = "operate"
	groupOther   = "other"
)

func (a *app) addCommands(root *cobra.Command) {
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupWrite, a.appendCommand())
	add(groupWrite, a.movementCommands()...)
	add(groupRead, a.getCommand(), a.tailCommand(), a.balanceCommand(), a.balancesCommand(), a.accountsCommand(),
		a.statementCommand(), a.rootsCommand(), a.statusCommand(), a.topCommand(), a.exploreCommand(), a.plotCommand(), a.healthCommand())
	add(groupProve, a.receiptCommand(), a.verifyReceiptCommand(), a.verifyCommand(), a.monitorCommand(), a.fleetCommand(), a.exportCommand())
	add(groupBackup, a.snapshotCommand(), a.restoreCommand(), a.archiveCommand(), a.recoverCommand())
	add(groupOperate, a.configCommand(), a.adminCommand(), a.metricsCommand(), a.traceCommand(), a.profileCommand(), a.chaosCommand())
	add(groupOther, a.demoCommand(), a.benchCommand(), a.tokenCommand(), a.keyCommand(), a.manCommand(), a.versionCommand())
}

// unknownCommand is reached where the first word is no command.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		return usagef("unknown command %q: did you mean %s?", args[0], similar[0])
	}
	return usagef("unknown command %q: see %s --help", args[0], cmd.CommandPath())
}

// exactly wants n arguments, which are those that the usage line names.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

func between(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || len(args) > high {
			return usagef("%d arguments where the command is: %s", len(args), cmd.UseLine())
		}
		return nil
	}
}
