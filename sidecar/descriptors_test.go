package sidecar

import "testing"

func TestShareDescriptors(t *testing.T) {
	for _, c := range []struct {
		name               string
		limit              uint64
		used, uds, https   int
		wantUDS, wantHTTPS int
	}{
		{name: "plenty", limit: 1 << 20, used: 30, uds: 1024, https: 1024, wantUDS: 1024, wantHTTPS: 1024},
		{name: "no limit at all", limit: ^uint64(0), used: 30, uds: 65536, https: 65536, wantUDS: 65536, wantHTTPS: 65536},
		{name: "as many as most systems give", limit: 1024, used: 24, uds: 1024, https: 1024, wantUDS: 250, wantHTTPS: 250},
		{name: "just enough", limit: 2678, used: 30, uds: 1024, https: 1024, wantUDS: 1024, wantHTTPS: 1024},
		{name: "few", limit: 64, used: 24, uds: 1024, https: 1024, wantUDS: 10, wantHTTPS: 10},
		{name: "in proportion", limit: 124, used: 24, uds: 300, https: 100, wantUDS: 37, wantHTTPS: 13},
		{name: "none left", limit: 20, used: 24, uds: 1024, https: 1024, wantUDS: 1, wantHTTPS: 1},
	} {
		d := descriptors{c.limit, c.used}
		uds, https := d.share(c.uds, c.https)
		if uds != c.wantUDS || https != c.wantHTTPS {
			t.Errorf("%s: %d and %d connections, want %d and %d", c.name, uds, https, c.wantUDS, c.wantHTTPS)
		}
		if d.passing() > turnAwayMax || 4*d.passing() > d.free() {
			t.Errorf("%s: %d peers may be told at a time why they are not served, of %d descriptors", c.name, d.passing(), d.free())
		}
	}
}
