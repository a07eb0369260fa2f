package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rustyonions/ron-ledger/tools/ledgerctl/scrape"
	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

const (
	fillReserve = 24 << 20  // disk.reserve_bytes on a disk of its own
	fillQuota   = 128 << 20 // what is taken of a disk that others use, for moments
	fillBelow   = 2 << 20   // how far below the reserve a disk of its own is filled
	fillHold    = 300 * time.Millisecond
	fillPause   = 200 * time.Millisecond
	fillWithin  = 15 * time.Second // until appends are refused: free space is looked at four times a second
	fillPoll    = 10 * time.Millisecond
	fillFollow  = time.Second // how often the reserve follows a disk on which others give space back meanwhile
)

// diskFill takes the free space below the reserve and gives it back. On a small file system of its own (OwnDisk) the disk
// is filled; on one that others use a file of fillQuota is written, and the reserve stands so high that this is enough.
func diskFill() attack {
	return attack{
		name: "disk-fill", do: doDiskFill,
		config: fillConfig(0),
		moved: []expectation{
			{metric: "disk_pressure", alert: "LedgerDiskPressure", want: "is 1 and then 0 again",
				value: func(m scrape.Metrics) float64 { return m.Sum("disk_pressure") },
				moved: func(_, furthest, after float64) bool { return furthest == 1 && after == 0 }},
			{metric: "disk_reserve_bytes/disk_free_bytes", alert: "LedgerDiskFilling", want: "goes beyond 0.5",
				value: func(m scrape.Metrics) float64 { return m.Sum("disk_reserve_bytes") / max(m.Sum("disk_free_bytes"), 1) },
				moved: func(_, furthest, _ float64) bool { return furthest > 0.5 }},
			rises("", "rejected_total", "reason", "disk_pressure"),
		},
	}
}

func doDiskFill(ctx context.Context, r *run) error {
	d := &fullDisk{run: r, filler: filepath.Join(r.server.Home, "filler")}
	if r.options.OwnDisk {
		r.report.Notes = append(r.report.Notes, "a tmpfs of its own was filled")
	} else {
		r.report.Notes = append(r.report.Notes, fmt.Sprintf("on a disk that others use: a file of %d MiB, and a reserve that it reaches", fillQuota>>20))
	}
	fills := 0
	var reads error
	for r.goesOn(ctx) && pause(ctx, fillPause) {
		if err := d.fill(ctx); err != nil {
			return errors.Join(err, d.free())
		}
		fills++
		reads = errors.Join(reads, d.read(ctx))
		pause(ctx, fillHold)
		since := time.Now()
		if err := d.free(); err != nil {
			return err
		}
		r.recovered(ctx, since)
	}
	r.report.did("times full", fills)
	r.check("reads go on", reads, "while appends were refused with disk_pressure")
	return nil
}

// fullDisk fills the disk of the home.
type fullDisk struct {
	run    *run
	filler string
}

// fill takes space until an append is refused for want of it.
func (d *fullDisk) fill(ctx context.Context) error {
	before := d.refused()
	space, err := freeSpace(d.run.server.Home)
	if err != nil {
		return err
	}
	take := int64(fillQuota)
	if d.run.options.OwnDisk {
		if take = space - fillReserve + fillBelow; take <= 0 {
			return fmt.Errorf("%d bytes are free, the reserve is %d: the disk is too small", space, fillReserve)
		}
		err = d.run.reserve(fillReserve)
	} else {
		err = d.run.reserve(space - fillQuota/2)
	}
	if err == nil {
		err = writeFiller(d.filler, take)
	}
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	began := time.Now()
	for follow := began.Add(fillFollow); d.refused() == before; {
		now := time.Now()
		if now.Sub(began) > fillWithin {
			return fmt.Errorf("nothing was refused within %v of the disk being full", fillWithin)
		}
		if !d.run.options.OwnDisk && now.After(follow) {
			follow = now.Add(fillFollow)
			if space, err = freeSpace(d.run.server.Home); err == nil {
				err = d.run.reserve(space + fillQuota/2)
			}
			if err != nil {
				return fmt.Errorf("fill the disk: %w", err)
			}
		}
		if !pause(ctx, fillPoll) {
			return ctx.Err()
		}
	}
	return nil
}

func (d *fullDisk) refused() int {
	count, _ := d.run.writers.Count()
	return count.Refused[wire.ReasonDiskPressure]
}

// read asks for an entry, which a full disk does not hinder.
func (d *fullDisk) read(ctx context.Context) error {
	c, err := client.Dial(ctx, d.run.server.Client("ledgerctl chaos"))
	if err != nil {
		return err
	}
	for _, err = range c.Entries(ctx, 1, 1) {
		if err != nil {
			break
		}
	}
	return errors.Join(err, c.Close())
}

// free gives the space back. Pressure ends an eighth above the reserve, which on a disk that others use is
// more than was taken: there the reserve is lowered as well.
func (d *fullDisk) free() error {
	err := os.Remove(d.filler)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if !d.run.options.OwnDisk {
		err = errors.Join(err, d.run.reserve(0))
	}
	return err
}

// fillConfig is the configuration with a reserve, in bytes.
func fillConfig(reserve int64) string {
	return fmt.Sprintf("[store]\nmemtable_bytes = \"1MiB\"\n[disk]\nreserve_bytes = %d\n", reserve)
}

// reserve changes disk.reserve_bytes of the running sidecar, by its file and SIGHUP.
func (r *run) reserve(bytes int64) error {
	return errors.Join(r.configure(fillConfig(bytes)), r.server.Signal(syscall.SIGHUP))
}

// writeFiller makes a file that has its blocks.
func writeFiller(path string, size int64) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	err = syscall.Fallocate(int(file.Fd()), 0, 0, size)
	if !errors.Is(err, syscall.EOPNOTSUPP) {
		return err
	}
	for zeros := make([]byte, 1<<20); size > 0; size -= int64(len(zeros)) {
		if _, err := file.Write(zeros[:min(size, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return nil
}

// freeSpace returns the bytes that are free for this user.
func freeSpace(dir string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("ask for free space: %w", err)
	}
	return int64(stat.Bavail) * stat.Bsize, nil
}
