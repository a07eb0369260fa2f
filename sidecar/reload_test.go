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

func TestMissingFiles(t *testing.T) {
	c := Defaults(Macronode)
	for _, name := range namesFile {
		if keyOf(t, c, name) != "" { // which fails where there is no such key
			t.Errorf("%s is set", name)
		}
	}
	if missing := c.MissingFiles(); len(missing) > 0 {
		t.Errorf("of the defaults %q are missing", missing)
	}
	here := filepath.Join(t.TempDir(), "c.pem")
	if err := os.WriteFile(here, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.HTTPS.CertFile, c.HTTPS.KeyFile = here, "/no/such.key"
	if missing := c.MissingFiles(); len(missing) != 1 || missing[0] != `https.key_file = "/no/such.key"` {
		t.Errorf("%q are missing", missing)
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
	next.UDS.IdleTimeout, next.Log.Level, next.Disk.ReserveBytes, next.Store.CacheBytes = seconds(5), "debug", 1<<20, 7<<20
	next.Queues.Commit, next.Queues.Ingress, next.UDS.MaxConnections, next.HTTPS.MaxConnections = 7, 8, 9, 10
	next.Shutdown.Timeout = seconds(3)
	r := o.reloadConfig()
	if got := len(r.Changed); got != 8 || len(r.Restart) != 1 || r.Restart[0].Key != "store.cache_bytes" {
		t.Errorf("%+v", r)
	}
	if live := o.live(); live.UDS.IdleTimeout != seconds(5) || live.Store.CacheBytes == 7<<20 || o.disk.reserve.Load() != 1<<20 || o.level.String() != "debug" || live.Shutdown.Timeout != seconds(3) {
		t.Errorf("in force is %+v, level %v", live, o.level)
	}
	body := o.get("GET", "/metrics").body
	for _, line := range []string{`queue_capacity{q="commit"} 7`, `queue_capacity{q="ingress"} 8`, "uds_connections_max 9", "https_connections_max 10"} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("there is no %s", line)
		}
	}
	if r := o.reloadConfig(); len(r.Changed) != 0 || len(r.Restart) != 1 {
		t.Errorf("again: %+v", r)
	}
	failed = os.ErrPermission
	if r := o.reloadConfig(); r.Error == "" || o.live().UDS.IdleTimeout != seconds(5) {
		t.Errorf("what cannot be read: %+v", r)
	}
	if told := o.reloaded.Load(); told.Error == "" || len(told.Restart) != 1 {
		t.Errorf("it is told as %+v", told)
	}
	failed = nil
	if r := o.reloadConfig(); r.Error != "" || o.reloaded.Load().Error != "" {
		t.Errorf("what can be read again: %+v", r)
	}
}

// TestReloadOfConnections has descriptors bound the connections: what the file asks for is bounded as at the start, so that
// a file that says what it said is no change, and one that asks for less is.
func TestReloadOfConnections(t *testing.T) {
	o := newOuter(t, nil)
	asked := *o.config
	o.descriptors = descriptors{limit: 1024, used: 24}
	o.config.UDS.MaxConnections, o.config.HTTPS.MaxConnections = o.boundedConnections(o.config)
	o.ReloadWith(func() (*Config, error) {
		c := asked
		return &c, nil
	})
	if r := o.reloadConfig(); len(r.Changed)+len(r.Restart) != 0 || o.live().UDS.MaxConnections != 250 {
		t.Errorf("nothing was changed, and it says %+v; %d connections", r, o.live().UDS.MaxConnections)
	}
	asked.UDS.MaxConnections, asked.HTTPS.MaxConnections = 400, 50
	if r := o.reloadConfig(); len(r.Changed) != 2 || o.live().UDS.MaxConnections != 400 || o.https.listener.max.Load() != 50 {
		t.Errorf("%+v; %d connections", r, o.live().UDS.MaxConnections)
	}
}

// TestReloadOfSlowCommits turns the recording of slow commits on and off on a ledger on disk.
func TestReloadOfSlowCommits(t *testing.T) {
	c := Defaults(Macronode)
	c.Home, c.HTTPS.Addr, c.Log.Level = filepath.Join(t.TempDir(), "home"), "127.0.0.1:0", "error"
	s, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	next := *c
	s.ReloadWith(func() (*Config, error) {
		read := next
		return &read, nil
	})
	for _, threshold := range []Duration{seconds(1), seconds(2), 0, seconds(3)} {
		next.Trace.SlowCommit, next.Scrub.BytesPerSecond = threshold, Size(threshold)+64<<10
		if r := s.reloadConfig(); len(r.Changed) != 2 || len(r.Restart) != 0 {
			t.Errorf("%v: %+v", threshold, r)
		}
		if (s.flight.running() != nil) != (threshold > 0) || s.flight.slowNs.Load() != int64(threshold) || s.scrub.rate.Load() != int64(threshold)+64<<10 {
			t.Errorf("%v: recorder %v, slow from %d ns on, %d bytes a second", threshold, s.flight.running(), s.flight.slowNs.Load(), s.scrub.rate.Load())
		}
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
