package sidecar

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestConfigPrintsWhatItReads holds the printed configuration to the one that it is of: no key is
// missing, and each is read back.
func TestConfigPrintsWhatItReads(t *testing.T) {
	for _, profile := range []string{Micronode, Macronode} {
		c := Defaults(profile)
		c.Home, c.Name, c.UDS.Path = `/h/a "b"\c`, "other", "/run/l.sock"
		c.UDS.AllowUIDs, c.UDS.Grant, c.Log.Level = []uint32{7, 8}, "op = read", "debug"
		c.Limits.MaxFrame, c.UDS.Mode, c.Concurrency.Prevalidators = 2<<20, 0o660, 3
		text := c.TOML()
		read, err := ParseConfig(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, read, cmp.AllowUnexported(Config{})); diff != "" {
			t.Errorf("%s: what is printed reads as another (-printed +read):\n%s", profile, diff)
		}
		if changes := c.ChangesTo(read); len(changes) != 0 {
			t.Errorf("%s: %+v", profile, changes)
		}
		for _, k := range c.keys() {
			name := k.name[strings.LastIndex(k.name, ".")+1:]
			if !strings.Contains(text, "\n"+name+" = ") {
				t.Errorf("%s: %s is not printed", profile, k.name)
			}
		}
		if text := DefaultsTOML(profile); !strings.Contains(text, "\nprofile = \""+profile+"\"\n") {
			t.Errorf("the defaults of %s are those of another profile", profile)
		}
	}
}

func TestReloadableKeysExist(t *testing.T) {
	left := map[string]bool{}
	for name := range reloadable {
		left[name] = true
	}
	for _, k := range Defaults(Macronode).keys() {
		delete(left, k.name)
	}
	if len(left) != 0 {
		t.Errorf("no keys: %v", left)
	}
}

// TestReload changes the configuration of a running sidecar: what can be is in force at once, what
// cannot is named, and what cannot be read changes nothing.
func TestReload(t *testing.T) {
	o := newOuter(t, nil)
	next := *o.config
	var failed error
	o.ReloadWith(func() (*Config, error) {
		if failed != nil {
			return nil, failed
		}
		c := next
		return &c, nil
	})
	if r := o.reloadConfig(); len(r.Changed)+len(r.Restart) != 0 || r.Error != "" {
		t.Errorf("nothing was changed, and it says %+v", r)
	}
	next.UDS.IdleTimeout, next.Log.Level, next.Disk.ReserveBytes, next.Queues.Commit = seconds(5), "debug", 1<<20, 7
	r := o.reloadConfig()
	if got := len(r.Changed); got != 3 || len(r.Restart) != 1 || r.Restart[0].Key != "queues.commit" {
		t.Errorf("%+v", r)
	}
	if live := o.live(); live.UDS.IdleTimeout != seconds(5) || live.Queues.Commit == 7 || o.disk.reserve.Load() != 1<<20 || o.level.String() != "debug" {
		t.Errorf("in force is %+v, level %v", live, o.level)
	}
	if r := o.reloadConfig(); len(r.Changed) != 0 || len(r.Restart) != 1 {
		t.Errorf("again: %+v", r)
	}
	failed = os.ErrPermission
	if r := o.reloadConfig(); r.Error == "" || o.live().UDS.IdleTimeout != seconds(5) {
		t.Errorf("what cannot be read: %+v", r)
	}
}

// TestConfigFileIsWatched rewrites the file of a sidecar.
func TestConfigFileIsWatched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("profile = \"micronode\"\n[https]\naddr = \"127.0.0.1:0\"\n[log]\nlevel = \"error\"\n")
	home := filepath.Join(t.TempDir(), "h")
	load := func() (*Config, error) { return Load([]string{"--config", path, "--home", home}, nil) }
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	s.ReloadWith(load)
	write("profile = \"micronode\"\n[https]\naddr = \"127.0.0.1:0\"\n[log]\nlevel = \"warn\"\n[uds]\nwrite_timeout = \"3s\"\n")
	for deadline := time.Now().Add(time.Minute); s.live().UDS.WriteTimeout != seconds(3) || s.level.String() != "warn"; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the file is not read again: %+v", s.live().UDS)
		}
	}
}
