// Package configs takes nothing but the configuration files beside it, one for each profile, with
// every key, what it means and its default, and hands their text to package sidecar, which
// prints it with other values: ledgerctl config print.
package configs

import _ "embed"

// The files, as they ship.
var (
	//go:embed macronode.toml
	Macronode string
	//go:embed micronode.toml
	Micronode string
)
