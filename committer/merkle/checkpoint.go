package merkle

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

const (
	// maxNoteSize bounds a signed checkpoint in bytes: its text and a hundred signatures.
	maxNoteSize = 64 << 10
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

// Checkpoint is a root at a size, as a log publishes it: the three lines of a C2SP
// tlog-checkpoint. It has no extension lines.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   Hash
}

// Marshal returns the text of c, which ends in a newline and is what gets signed. It fails
// where the origin is not one or the size is above MaxSize.
func (c Checkpoint) Marshal() ([]byte, error) {
	if err := checkOrigin(c.Origin); err != nil {
		return nil, fmt.Errorf("write checkpoint: %w", err)
	}
	if c.Size > MaxSize {
		return nil, fmt.Errorf("write checkpoint: size %d is above %d", c.Size, uint64(MaxSize))
	}
	text := append([]byte(c.Origin), '\n')
	text = append(strconv.AppendUint(text, c.Size, 10), '\n')
	return append(base64.StdEncoding.AppendEncode(text, c.Root[:]), '\n'), nil
}

// ParseCheckpoint is the inverse of Marshal: it accepts what Marshal returns and nothing else.
// It checks no signature: OpenCheckpoint does.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	origin, rest, ok1 := bytes.Cut(text, []byte("\n"))
	decimal, rest, ok2 := bytes.Cut(rest, []byte("\n"))
	encoded, rest, ok3 := bytes.Cut(rest, []byte("\n"))
	if !ok1 || !ok2 || !ok3 || len(rest) != 0 {
		return Checkpoint{}, errors.New("read checkpoint: not the three lines origin, size and root")
	}
	c := Checkpoint{Origin: string(origin)}
	if err := checkOrigin(c.Origin); err != nil {
		return Checkpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	var err error
	if c.Size, err = parseDecimal(decimal); err != nil {
		return Checkpoint{}, fmt.Errorf("read checkpoint: size: %w", err)
	}
	if c.Root, err = parseBase64Hash(encoded); err != nil {
		return Checkpoint{}, fmt.Errorf("read checkpoint: root: %w", err)
	}
	return c, nil
}

// parseDecimal reads a number of up to MaxSize without sign and leading zeros.
func parseDecimal(digits []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(digits), 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != string(digits) {
		return 0, fmt.Errorf("%.24q is not a decimal number of up to %d", digits, uint64(MaxSize))
	}
	return n, nil
}

// parseBase64Hash reads a hash in the one base64 form that it has. The decoder skips newlines
// and ignores stray bits, so its result is encoded again.
func parseBase64Hash(encoded []byte) (h Hash, err error) {
	if len(encoded) == base64.StdEncoding.EncodedLen(HashSize) {
		decoded, err := base64.StdEncoding.AppendDecode(nil, encoded)
		if err == nil && len(decoded) == HashSize && base64.StdEncoding.EncodeToString(decoded) == string(encoded) {
			return Hash(decoded), nil
		}
	}
	return Hash{}, fmt.Errorf("%.48q is not base64 of %d bytes", encoded, HashSize)
}

// Sign returns c as a signed note. The first signer's name has to be the origin.
func (c Checkpoint) Sign(log note.Signer, witnesses ...note.Signer) ([]byte, error) {
	if log.Name() != c.Origin {
		return nil, fmt.Errorf("sign checkpoint: the key is named %q, the origin is %q", log.Name(), c.Origin)
	}
	text, err := c.Marshal()
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: string(text)}, append([]note.Signer{log}, witnesses...)...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

// OpenCheckpoint returns the checkpoint in a signed note of at most 64 KiB. It fails where the
// note is not signed by log, or the origin is not the name of log. Signatures by others are
// neither needed nor checked.
func OpenCheckpoint(signed []byte, log note.Verifier) (Checkpoint, error) {
	if len(signed) > maxNoteSize {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %d bytes, at most %d are allowed", len(signed), maxNoteSize)
	}
	opened, err := note.Open(signed, note.VerifierList(log))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint signed by %q: %w", log.Name(), err)
	}
	c, err := ParseCheckpoint([]byte(opened.Text))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("open checkpoint: %w", err)
	}
	if c.Origin != log.Name() {
		return Checkpoint{}, fmt.Errorf("open checkpoint: the origin is %q, the key is named %q", c.Origin, log.Name())
	}
	return c, nil
}

// VerifierKey returns the line that lets others verify the checkpoints of origin: the vkey of
// C2SP signed-note, which note.NewVerifier reads.
func VerifierKey(origin string, key ed25519.PublicKey) (string, error) {
	if err := checkOrigin(origin); err != nil {
		return "", fmt.Errorf("write verifier key: %w", err)
	}
	vkey, err := note.NewEd25519VerifierKey(origin, key)
	if err != nil {
		return "", fmt.Errorf("write verifier key: %w", err)
	}
	return vkey, nil
}

// NewVerifier returns the verifier of the checkpoints of origin.
func NewVerifier(origin string, key ed25519.PublicKey) (note.Verifier, error) {
	vkey, err := VerifierKey(origin, key)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fmt.Errorf("make verifier: %w", err)
	}
	return verifier, nil
}

// NewSigner returns the signer of the checkpoints of origin.
func NewSigner(origin string, key ed25519.PrivateKey) (note.Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("make signer: a private key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	verifier, err := NewVerifier(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("make signer: %w", err)
	}
	return &signer{name: origin, keyHash: verifier.KeyHash(), key: key}, nil
}

// signer is a note.Signer that holds the key as it is, so that no text form of it is made.
type signer struct {
	name    string
	keyHash uint32
	key     ed25519.PrivateKey
}

func (s *signer) Name() string                        { return s.name }
func (s *signer) KeyHash() uint32                     { return s.keyHash }
func (s *signer) Sign(message []byte) ([]byte, error) { return ed25519.Sign(s.key, message), nil }
