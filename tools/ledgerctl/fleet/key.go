package fleet

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// MakeKey makes the key of a fleet in a new file that nobody else can read, in the form of C2SP signed-note, and
// returns the line that verifies what it signs.
func MakeKey(path, name string) (signer note.Signer, vkey string, err error) {
	if err := checkName(name); err != nil {
		return nil, "", err
	}
	secret, vkey, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return nil, "", fmt.Errorf("make the key of the fleet: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("make the key of the fleet: %w", err)
	}
	_, err = file.WriteString(secret + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return nil, "", fmt.Errorf("write the key of the fleet: %w", errors.Join(err, os.Remove(path)))
	}
	signer, err = note.NewSigner(secret)
	return signer, vkey, err
}

// LoadKey reads what MakeKey has made. Its errors do not quote the file.
func LoadKey(path string) (note.Signer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key of the fleet: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read the key of the fleet: mode %04o of %s lets others in: chmod 0600 %[2]s", info.Mode().Perm(), path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key of the fleet: %w", err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("read the key of the fleet: %s does not hold one: restore it from a backup", path)
	}
	return signer, nil
}
