// Package configs holds the configuration files that ship: one for each profile, with every key,
// what it means and its default. They are the text of ledgerctl config print.
package configs

import _ "embed"

// The files, as they ship.
var (
	//go:embed macronode.toml
	Macronode string
	//go:embed micronode.toml
	Micronode string
)
