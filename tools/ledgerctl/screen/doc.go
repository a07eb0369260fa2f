// Package screen draws what ledgerctl shows of a ledger. It takes figures from the commands
// and hands back lines of text, of the width that is asked for, or an SVG; it reads no clock, no
// terminal and no socket, so that a test holds each screen as a whole against docs/SCREENS.md.
package screen
