package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/sidecar"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

// stateFolder is the home below the folder for state, as ron-ledgerd makes it.
const stateFolder = "ron-ledger"

// homePath returns the folder of the ledger, by the rule of ron-ledgerd.
func (a *app) homePath() (string, error) {
	for _, home := range []string{a.home, a.env("RON_LEDGER_HOME")} {
		if home != "" {
			return home, nil
		}
	}
	if state := a.env("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, stateFolder), nil
	}
	if home := a.env("HOME"); home != "" {
		return filepath.Join(home, ".local", "state", stateFolder), nil
	}
	return "", errors.New("find the home: neither XDG_STATE_HOME nor HOME is set: say where with --home")
}

// socketPath returns where the sidecar listens.
func (a *app) socketPath() (string, error) {
	for _, socket := range []string{a.socket, a.env("RON_LEDGER_SOCKET")} {
		if socket != "" {
			return socket, nil
		}
	}
	home, err := a.homePath()
	return filepath.Join(home, sidecar.SocketFile), err
}

// options returns how to reach the sidecar.
func (a *app) options() (client.Options, error) {
	o := client.Options{Name: "ledgerctl", TokenFile: a.tokenFile}
	var err error
	if o.Socket, err = a.socketPath(); err != nil {
		return o, err
	}
	if o.CheckServer, err = a.checkServer(); err != nil {
		return o, err
	}
	if o.TokenFile != "" {
		if _, err := os.Stat(o.TokenFile); err != nil {
			return o, fmt.Errorf("read --token-file: %w", err)
		}
	} else if text := a.env("RON_LEDGER_TOKEN"); text != "" {
		token, err := capability.ParseToken(strings.TrimSpace(text))
		if err != nil {
			return o, fmt.Errorf("read RON_LEDGER_TOKEN: %w", err)
		}
		o.Token = token.Bytes()
	}
	if o.TokenFile != "" || len(o.Token) > 0 {
		return o, nil
	}
	if home, err := a.homePath(); err == nil {
		o.TokenFile = filepath.Join(home, sidecar.TokenFile)
	}
	return o, nil
}

// checkServer returns what looks at a server before anything is sent to it; nil leaves it to the client.
func (a *app) checkServer() (func(net.Conn) error, error) {
	text := cmp.Or(a.serverUID, a.env("RON_LEDGER_SERVER_UID"))
	if text == "" {
		return nil, nil
	}
	var uids []uint32
	for part := range strings.SplitSeq(text, ",") {
		uid, err := strconv.ParseUint(strings.TrimSpace(part), 10, 32)
		if err != nil {
			return nil, usagef("--server-uid: %q is no uid: write numbers with commas between them", part)
		}
		uids = append(uids, uint32(uid))
	}
	return client.RequireUID(uids...), nil
}

// connect dials the sidecar.
func (a *app) connect(ctx context.Context) (*client.Client, error) {
	o, err := a.options()
	if err != nil {
		return nil, err
	}
	c, err := client.Dial(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", o.Socket, err)
	}
	return c, nil
}

// with runs a command that needs one connection.
func (a *app) with(ctx context.Context, use func(*client.Client) error) error {
	c, err := a.connect(ctx)
	if err != nil {
		return err
	}
	return errors.Join(use(c), c.Close())
}

// advice says what to try next.
func (a *app) advice(err error) string {
	var refused *client.ReasonError
	if errors.As(err, &refused) {
		return adviceFor[refused.Reason]
	}
	var forgotten *client.ForgottenError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: is ron-ledgerd running? started with another --home?"
	case errors.Is(err, fs.ErrNotExist) && errors.Is(err, client.ErrDisconnected):
		return "no socket there: is ron-ledgerd running? started with another --home or --socket?"
	case errors.Is(err, fs.ErrPermission) && errors.Is(err, client.ErrDisconnected):
		return "this user may not open the socket: run as the user of ron-ledgerd, or have uds.mode and uds.allow_gids changed"
	case errors.As(err, &forgotten) && forgotten.Oldest > 0:
		return fmt.Sprintf("older entries are no longer kept here (window.entries; retention.keep, and no archive is configured): try ledgerctl get %d..", forgotten.Oldest)
	case errors.Is(err, client.ErrOutcomeUnknown):
		return "send the same again: what was booked comes back as a duplicate, nothing is booked twice"
	case errors.Is(err, client.ErrProtocol):
		return "is that a ron-ledgerd of this version? see ledgerctl version and ledgerctl status"
	}
	return ""
}

var adviceFor = map[wire.Reason]string{
	wire.ReasonUnauth:       "say which token to use with --token-file or RON_LEDGER_TOKEN; is the uid allowed (uds.allow_uids)?",
	wire.ReasonCapInvalid:   "see what the token says with ledgerctl token inspect; the one that ron-ledgerd made is HOME/token",
	wire.ReasonPolicyDenied: "see what the token allows with ledgerctl token inspect",
	wire.ReasonBusy:         "the sidecar is at a limit, or cannot reach what it needs: try again in a moment",
	wire.ReasonDraining:     "the sidecar is shutting down: try again when it is back",
	wire.ReasonSafeMode:     "the ledger is read-only until an operator acts: ledgerctl status says why",
	wire.ReasonDiskPressure: "free disk space below the home, or lower disk.reserve_bytes; it clears by itself",
	wire.ReasonTooLarge:     "send less at once: --batch",
	wire.ReasonInternal:     "the log of ron-ledgerd says more",
}
