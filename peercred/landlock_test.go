package peercred

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// confineAndLook is the role: what can be opened once the process is confined to a folder.
func confineAndLook(dir string) string {
	before, err := os.Open("/etc/passwd")
	if err != nil {
		return err.Error()
	}
	keptOpen = append(keptOpen, before)
	version, err := Confine([]string{dir, filepath.Join(dir, "missing")}, []string{"/proc"})
	if err != nil || version == 0 {
		return fmt.Sprintf("version %d, %v", version, err)
	}
	inside := os.WriteFile(filepath.Join(dir, "a"), nil, 0o600)
	renamed := os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	_, proc := os.ReadFile("/proc/self/stat")
	_, outside := os.ReadFile("/etc/passwd")
	made := os.WriteFile("/tmp/confined", nil, 0o600)
	_, open := before.Read(make([]byte, 1))
	return fmt.Sprintf("confined; inside %v %v, proc %v, open before %v; outside %v, %v", inside, renamed, proc, open, os.IsPermission(outside), os.IsPermission(made))
}

func TestConfine(t *testing.T) {
	line := mustStart(t, "confine", openDir(t), nil).line(t)
	if strings.HasPrefix(line, "version 0, <nil>") {
		t.Log("this kernel has no Landlock: nothing was done, and said so")
		return
	}
	if want := "confined; inside <nil> <nil>, proc <nil>, open before <nil>; outside true, true"; line != want {
		t.Errorf("%s\nwant %s", line, want)
	}
}
