package merkle

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/mod/sumdb/note"
)

// maxNoteSize bounds a signed checkpoint in bytes: its text and a hundred signatures.
const maxNoteSize = 64 << 10

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
	for _, signature := range opened.Sigs {
		// note.Open ignores stray bits in the last character.
		raw, err := base64.StdEncoding.DecodeString(signature.Base64)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != signature.Base64 {
			return Checkpoint{}, fmt.Errorf("open checkpoint: the signature by %q is not in the one base64 form", signature.Name)
		}
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
