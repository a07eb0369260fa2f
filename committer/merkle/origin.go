package merkle

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxOriginSize bounds an origin in bytes.
	maxOriginSize = 512
	// blake3Suffix marks the origin of a log that public tools cannot verify.
	blake3Suffix = "/blake3"
)

// LogID tells apart logs and epochs of one name.
type LogID [16]byte

// Origin returns the name under which a log's checkpoints are signed: NAME/LOGID, and with
// BLAKE3 NAME/LOGID/blake3. The name has to be one that ParseOrigin accepts.
func Origin(name string, logID LogID, k HashKind) string {
	origin := name + "/" + hex.EncodeToString(logID[:])
	if k == Blake3 {
		origin += blake3Suffix
	}
	return origin
}

// ParseOrigin is the inverse of Origin. The name is not empty and consists of printable
// characters other than space and plus, as C2SP signed-note asks of the name of a key; the
// origin has at most 512 bytes.
func ParseOrigin(origin string) (name string, logID LogID, k HashKind, err error) {
	if err := checkOrigin(origin); err != nil {
		return "", LogID{}, 0, err
	}
	rest, isBlake3 := strings.CutSuffix(origin, blake3Suffix)
	k = SHA256
	if isBlake3 {
		k = Blake3
	}
	slash := strings.LastIndexByte(rest, '/')
	if slash <= 0 {
		return "", LogID{}, 0, fmt.Errorf("read origin %q: not NAME/LOGID or NAME/LOGID/blake3", origin)
	}
	digits := rest[slash+1:]
	id, err := hex.DecodeString(digits)
	if err != nil || len(id) != len(logID) || strings.ToLower(digits) != digits {
		return "", LogID{}, 0, fmt.Errorf("read origin %q: the log id is not 32 lower case hex digits", origin)
	}
	return rest[:slash], LogID(id), k, nil
}

// checkOrigin refuses what could not be an origin line or the name of a key.
func checkOrigin(origin string) error {
	switch {
	case origin == "":
		return errors.New("read origin: it is empty")
	case len(origin) > maxOriginSize:
		return fmt.Errorf("read origin: %d bytes, at most %d are allowed", len(origin), maxOriginSize)
	case !utf8.ValidString(origin):
		return fmt.Errorf("read origin %q: not UTF-8", origin)
	}
	for _, r := range origin {
		if r == '+' || unicode.IsSpace(r) || unicode.IsControl(r) {
			return fmt.Errorf("read origin %q: %q is not allowed", origin, r)
		}
	}
	return nil
}
