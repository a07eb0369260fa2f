package wire

import (
	"strings"
	"testing"
)

func TestAdmin(t *testing.T) {
	sample := "\x04\x03\x00\x00" + "\x10\x27\x00\x00" + "cpu"
	for _, row := range []struct {
		name, payload string
		offset        int // of the fault; -1 = none
		want          Admin
	}{
		{"profile", sample, -1, Admin{AdminProfile, 10_000, "cpu"}},
		{"without a text", "\x05\x00\x00\x00" + "\x00\x00\x00\x00", -1, Admin{Command: AdminSlow}},
		{"a command of a later version", "\xf0\x00\x00\x00" + "\x00\x00\x00\x00", -1, Admin{Command: 240}},
		{"no command", "\x00" + sample[1:], 0, Admin{}},
		{"text too long", "\x04\x41\x00\x00" + "\x00\x00\x00\x00" + strings.Repeat("a", 65), 1, Admin{}},
		{"reserved", "\x04\x03\x00\x01" + sample[4:], 3, Admin{}},
		{"an escape in the text", sample[:9] + "\x1bu", 9, Admin{}},
		{"cut off", sample[:10], 10, Admin{}},
		{"a byte too many", sample + "x", 11, Admin{}},
	} {
		var m Admin
		fault := m.Decode([]byte(row.payload))
		switch {
		case row.offset < 0 && (!fault.OK() || m != row.want || string(m.Append(nil)) != row.payload):
			t.Errorf("%s: %+v, %v", row.name, m, fault)
		case row.offset >= 0 && (fault.Reason != ReasonMalformed || fault.Offset != row.offset):
			t.Errorf("%s: fault %v, want one at %d", row.name, fault, row.offset)
		}
	}
	if AdminTrace.String() != "trace" || AdminCommand(200).String() != "admin_200" {
		t.Error("commands have other names")
	}
}

func FuzzAdmin(f *testing.F) {
	f.Add([]byte("\x04\x03\x00\x00\x10\x27\x00\x00cpu"))
	f.Fuzz(func(t *testing.T, payload []byte) { checkMessageIdentity(t, new(Admin), new(Admin), payload) })
}
