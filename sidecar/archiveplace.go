package sidecar

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rustyonions/ron-ledger/archive"
	"github.com/rustyonions/ron-ledger/archive/bucket"
	"github.com/rustyonions/ron-ledger/peercred"
	"github.com/rustyonions/ron-ledger/store"
)

// place returns where the archive lies: a folder, or the URL of a bucket; empty where there is none.
func (c *ArchiveConfig) place() string { return cmp.Or(c.URL, c.Dir, c.Adopt) }

// check holds the keys of the archive against each other.
func (c *ArchiveConfig) check(profile string) error {
	switch {
	case c.place() == "" && c.Mode == archiveSync:
		return errors.New("check configuration: archive.mode is sync: it needs archive.url or archive.dir")
	case c.place() == "":
		return nil
	case profile == Micronode:
		return errors.New("check configuration: archive.dir and archive.url are for macronode: a micronode is another ledger at each start, and forgets")
	case c.Adopt != "" && c.Adopt != c.place():
		return errors.New("check configuration: archive.adopt is not where the archive is written (archive.dir, archive.url): leave either out")
	case c.URL != "" && c.Dir != "":
		return errors.New("check configuration: archive.dir and archive.url are both set: there is one archive")
	case c.URL == "" && !strings.HasPrefix(c.place(), bucket.Scheme):
		return nil
	}
	if _, err := bucket.ParsePlace(c.place()); err != nil {
		return fmt.Errorf("check configuration: archive.url: %w", err)
	}
	return nil
}

// openArchive opens the archives that lie at a place: a folder, or s3://… with the key in a file; where
// that is empty, with the one that the environment names as AWS's tools have it.
func openArchive(place, credentials string, observe func(bucket.Attempt)) (archive.Objects, error) {
	if !strings.HasPrefix(place, bucket.Scheme) {
		return store.NewObjects(nil, place), nil
	}
	p, err := bucket.ParsePlace(place)
	if err != nil {
		return nil, fmt.Errorf("read the URL of the archive: %w", err)
	}
	// Authorities are read once a process, and here: a confined one could not any more.
	if _, err := x509.SystemCertPool(); err != nil {
		return nil, fmt.Errorf("read the authorities of this machine: %w", err)
	}
	keys := func() (bucket.Credentials, error) { return archiveKey(credentials) }
	if _, err := keys(); err != nil {
		return nil, err
	}
	return bucket.New(p, keys, observe), nil
}

// archiveKey reads the key of the object store.
func archiveKey(file string) (bucket.Credentials, error) {
	key := bucket.Credentials{
		KeyID: os.Getenv("AWS_ACCESS_KEY_ID"), Secret: os.Getenv("AWS_SECRET_ACCESS_KEY"), Session: os.Getenv("AWS_SESSION_TOKEN"),
	}
	if file == "" && key.KeyID != "" && key.Secret != "" {
		return key, nil
	}
	if file = cmp.Or(file, os.Getenv("AWS_SHARED_CREDENTIALS_FILE")); file == "" {
		return key, errors.New("there is no key for the object store: set archive.credentials to a file with one, " +
			"or AWS_SHARED_CREDENTIALS_FILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	text, err := peercred.ReadPrivate(file, secretBytesMax)
	if err == nil {
		key, err = parseArchiveKey(string(text))
	}
	clear(text)
	if err != nil {
		return bucket.Credentials{}, fmt.Errorf("read the key of the object store from %s: %w", file, err)
	}
	return key, nil
}

// parseArchiveKey reads the file that AWS's tools keep keys in: its section [default], or lines without
// one. No line of it is repeated in an error.
func parseArchiveKey(text string) (key bucket.Credentials, err error) {
	section := "default"
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSpace(strings.TrimSuffix(name, "]"))
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		if section != "default" || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			key.KeyID = value
		case "aws_secret_access_key":
			key.Secret = value
		case "aws_session_token":
			key.Session = value
		}
	}
	if key.KeyID == "" || key.Secret == "" {
		return key, errors.New("it has no aws_access_key_id and aws_secret_access_key, each with = and its value on a line")
	}
	return key, nil
}

// files are the folders that the archive is written in, and those that the way to an object store
// is read from: names of machines may change.
func (c *ArchiveConfig) files() (readWrite, readOnly []string) {
	if !strings.HasPrefix(c.place(), bucket.Scheme) {
		return []string{c.place()}, nil
	}
	readOnly = []string{"/etc", "/run/systemd/resolve"}
	for _, file := range []string{c.Credentials, os.Getenv("AWS_SHARED_CREDENTIALS_FILE")} {
		if absolute, err := filepath.Abs(file); file != "" && err == nil {
			readOnly = append(readOnly, filepath.Dir(absolute))
		}
	}
	return nil, readOnly
}
