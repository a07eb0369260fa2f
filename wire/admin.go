package wire

import (
	"encoding/binary"
	"fmt"
)

// AdminCommand says what ADMIN asks for. The numbers are frozen.
type AdminCommand uint8

// What ADMIN can ask for.
const (
	AdminLogLevel AdminCommand = 1 // the level of the server's log; Text sets another. Answer: the level in force
	AdminReload   AdminCommand = 2 // configuration, keys and certificates are read again. Answer: JSON, what came of it
	AdminConfig   AdminCommand = 3 // the configuration in force. Answer: TOML
	AdminProfile  AdminCommand = 4 // Text names the profile, Ms how long to take it. Answer: a file of pprof
	AdminSlow     AdminCommand = 5 // the slowest requests and where their time went. Answer: JSON
	AdminTrace    AdminCommand = 6 // an execution trace of Ms. Answer: a file of go tool trace
	AdminMetrics  AdminCommand = 7 // the metrics. Answer: text, as Prometheus reads it
)

var adminNames = map[AdminCommand]string{
	AdminLogLevel: "log_level", AdminReload: "reload", AdminConfig: "config",
	AdminProfile: "profile", AdminSlow: "slow", AdminTrace: "trace", AdminMetrics: "metrics",
}

// String returns the name of the command, or its number when it has none.
func (c AdminCommand) String() string {
	if name, ok := adminNames[c]; ok {
		return name
	}
	return fmt.Sprintf("admin_%d", uint8(c))
}

// maxAdminText is the longest argument of ADMIN in bytes.
const maxAdminText = 64

// Admin asks for an act of administration.
type Admin struct {
	Command AdminCommand
	Ms      uint32 // how long, in milliseconds; 0 = as the server likes
	Text    string // at most 64 bytes
}

// Append appends the payload of m to dst.
func (m *Admin) Append(dst []byte) []byte {
	dst = append(dst, byte(m.Command))
	dst = appendLength8(dst, len(m.Text))
	dst = append(dst, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, m.Ms)
	return append(dst, m.Text...)
}

// Decode reads a payload. A command that this version does not know is no fault, since new
// ones may be added: whoever serves refuses it.
func (m *Admin) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.Command = AdminCommand(c.u8())
	if m.Command == 0 {
		c.fail(0, "admin has no command")
	}
	textLength := c.length8(maxAdminText)
	c.zero(2)
	m.Ms = c.u32()
	m.Text = c.text(textLength)
	return c.end()
}

// AdminAnswer is the next piece of the answer. The last one has no FlagMore; where an ERROR comes
// in its place what came before is of no use.
type AdminAnswer struct {
	Piece []byte // in place when decoded
}

// Append appends the payload of m to dst.
func (m *AdminAnswer) Append(dst []byte) []byte { return append(dst, m.Piece...) }

// Decode takes a payload as it is.
func (m *AdminAnswer) Decode(payload []byte) Fault {
	m.Piece = payload
	return Fault{}
}
