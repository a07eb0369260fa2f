package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgresPeer chains hashes in a function of the database. One writer takes all requests
// that wait into one transaction: that is its fastest form by far.
var postgresPeer = peer{
	"postgres", "own processes, Unix socket; defaults of the package (fsync, synchronous_commit), a SHA-256 chain by one grouping writer, up to 4,096 entries a transaction",
	startPostgres,
}

const postgresSchema = `
create table ledger(seq bigint primary key, hash bytea not null, payload bytea not null);
create table head(id int primary key, seq bigint not null, hash bytea not null) with (fillfactor=10);
insert into head values (1, 0, '\x00');
create function append_chain(payloads bytea[]) returns bigint language plpgsql as $$
declare s bigint; h bytea; p bytea; seqs bigint[] := '{}'; hashes bytea[] := '{}';
begin
  select seq, hash into s, h from head where id = 1 for update;
  foreach p in array payloads loop
    s := s + 1; h := sha256(h || p); seqs := seqs || s; hashes := hashes || h;
  end loop;
  insert into ledger select * from unnest(seqs, hashes, payloads);
  update head set seq = s, hash = h where id = 1;
  return s;
end $$;
`

// postgresTool finds a program of the server: Debian keeps them out of the PATH.
func postgresTool(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return "", fmt.Errorf("there is no %s: install the Debian package postgresql", name)
	}
	return slices.Max(found), nil
}

// asPostgres runs a program as a user that PostgreSQL accepts: not as root.
func asPostgres(path string, args ...string) (*exec.Cmd, error) {
	command := exec.Command(path, args...)
	if os.Geteuid() != 0 {
		return command, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	command.Dir = "/"
	return command, nil
}

func startPostgres(ctx context.Context, _ string, _ int) (i *instance, err error) {
	// A folder that its user reaches, wherever the others are; --dir may be below one that it does not.
	dir, err := os.MkdirTemp(postgresRoot(), "peers-postgres-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if u, err := user.Lookup("postgres"); err == nil && os.Geteuid() == 0 {
		uid, _ := strconv.Atoi(u.Uid)
		if err := os.Chown(dir, uid, -1); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	if err := runPostgres("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"); err != nil {
		return nil, err
	}
	server, err := postgresTool("postgres")
	if err != nil {
		return nil, err
	}
	command, err := asPostgres(server, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "log_min_messages=fatal")
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	stop := func() error {
		_ = command.Process.Signal(syscall.SIGQUIT)
		_ = command.Wait()
		return os.RemoveAll(dir)
	}
	pool, err := dialPostgres(ctx, dir)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	group := &postgresGroup{pool: pool, waiting: make(chan postgresRequest, 4096)}
	go group.run()
	return &instance{append: group.append, pids: children(command.Process.Pid), stop: func() error {
		close(group.waiting)
		pool.Close()
		return stop()
	}}, nil
}

// postgresRoot is the folder for data: PEERS_POSTGRES_DIR, or that for temporary files.
func postgresRoot() string { return os.Getenv("PEERS_POSTGRES_DIR") }

func runPostgres(name string, args ...string) error {
	path, err := postgresTool(name)
	if err != nil {
		return err
	}
	command, err := asPostgres(path, args...)
	if err != nil {
		return err
	}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, output)
	}
	return nil
}

func dialPostgres(ctx context.Context, dir string) (*pgxpool.Pool, error) {
	pool, err := pgxpool.New(ctx, "host="+dir+" user=postgres dbname=postgres pool_max_conns=2")
	if err != nil {
		return nil, err
	}
	for patience := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err = pool.Exec(ctx, strings.TrimSpace(postgresSchema), pgx.QueryExecModeSimpleProtocol)
		if err == nil || time.Now().After(patience) {
			return pool, err
		}
	}
}

type postgresRequest struct {
	entries [][]byte
	done    chan error
}

// postgresGroup takes what waits into one transaction.
type postgresGroup struct {
	pool    *pgxpool.Pool
	waiting chan postgresRequest
}

const postgresGroupMost = 4096 // entries

func (g *postgresGroup) append(_ context.Context, _ int, entries [][]byte) error {
	r := postgresRequest{entries, make(chan error, 1)}
	g.waiting <- r
	return <-r.done
}

func (g *postgresGroup) run() {
	for first := range g.waiting {
		group, all := []postgresRequest{first}, slices.Clone(first.entries)
	more:
		for len(all) < postgresGroupMost {
			select {
			case r, open := <-g.waiting:
				if !open {
					break more
				}
				group, all = append(group, r), append(all, r.entries...)
			default:
				break more
			}
		}
		_, err := g.pool.Exec(context.Background(), "select append_chain($1)", all)
		for _, r := range group {
			r.done <- err
		}
	}
}
