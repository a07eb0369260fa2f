package capability

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

const (
	keyringHeader   = "ron-ledger-keyring 1"
	keyringKeysMax  = 64
	keyringBytesMax = 64 << 10
	secretBytes     = 32
	keyFields       = 5
	sumWord         = "sum "
	sumBytes        = 8
)

// KeyState says what a key is still good for.
type KeyState uint8

// The states of a key.
const (
	KeyActive     KeyState = 1 + iota // mints and verifies
	KeyVerifyOnly                     // verifies what it has minted
)

var stateNames = [...]string{"", "active", "verify-only"}

// String is the word in the keyring file.
func (s KeyState) String() string {
	if int(s) < len(stateNames) && s != 0 {
		return stateNames[s]
	}
	return "unknown"
}

// Key is a root key. No formatting shows its secret.
type Key struct {
	KID     KID
	Created int64 // Unix seconds
	State   KeyState

	secret secret // secretBytes of them
}

// GenerateKey makes an active key with random id and secret, created at a time in
// Unix seconds.
func GenerateKey(unix int64) Key {
	random := make([]byte, secretBytes)
	rand.Read(random)
	key := Key{Created: unix, State: KeyActive, secret: hide(random)}
	rand.Read(key.KID[:])
	return key
}

// String shows the id, the time and the state.
func (k Key) String() string {
	return fmt.Sprintf("key(%v, created %s, %v, redacted)", k.KID, timeWord(k.Created), k.State)
}

// Format shows what String shows, for every verb.
func (k Key) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, k.String()) }

// Keyring holds the root keys. Its file is text, and its folder's and its own
// permissions are for the caller to check (peercred.ReadPrivate):
//
//	ron-ledger-keyring 1
//	# KID, created, state, secret
//	key 0011223344556677 2030-01-02T03:04:05Z active 64 hex digits
//	sum 16 hex digits
//
// Fields are separated by single spaces. Lines that are empty or begin with # are for
// people. The last line is the beginning of the SHA-256 of all key lines with their ends: a damaged
// secret would be another secret, and refuse good tokens. Where people write the file it may be
// left out. A keyring holds at most 64 keys and 64 KiB. It is not safe for concurrent
// change: make another and swap them. The zero Keyring is empty and ready.
type Keyring struct {
	keys []Key
}

// ParseKeyring reads a keyring file. Its errors name the line and the field and
// never what stands there.
func ParseKeyring(text []byte) (*Keyring, error) {
	if len(text) > keyringBytesMax {
		return nil, fmt.Errorf("parse keyring: it has %d bytes, at most %d are allowed", len(text), keyringBytesMax)
	}
	ring := new(Keyring)
	headerSeen, summed := false, false
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" || line[0] == '#':
			continue
		case !headerSeen && line != keyringHeader:
			return nil, fmt.Errorf("parse keyring: line %d: expected %q", number, keyringHeader)
		case !headerSeen:
			headerSeen = true
			continue
		case summed:
			return nil, fmt.Errorf("parse keyring: line %d: behind the sum nothing follows", number)
		case strings.HasPrefix(line, sumWord):
			if summed = true; line != ring.sum() {
				return nil, fmt.Errorf("parse keyring: line %d: the sum is not that of the keys: the file is damaged; "+
					"where it was changed by hand, take the line of the sum out", number)
			}
			continue
		}
		key, err := parseKey(line)
		if err == nil {
			err = ring.Add(key)
		}
		if err != nil {
			return nil, fmt.Errorf("parse keyring: line %d: %w", number, err)
		}
	}
	if !headerSeen {
		return nil, fmt.Errorf("parse keyring: it does not begin with %q", keyringHeader)
	}
	return ring, nil
}

func parseKey(line string) (key Key, err error) {
	fields := strings.Split(line, " ")
	if len(fields) != keyFields || fields[0] != "key" {
		return Key{}, fmt.Errorf("expected the word key, KID, time, state and secret, separated by single spaces")
	}
	if err := parseHex(key.KID[:], fields[1]); err != nil {
		return Key{}, fmt.Errorf("KID: %w", err)
	}
	created, err := time.Parse(time.RFC3339, fields[2])
	if err != nil || created.Unix() < 0 || timeWord(created.Unix()) != fields[2] {
		return Key{}, fmt.Errorf("time: expected UTC with whole seconds, such as 2030-01-02T03:04:05Z")
	}
	state := indexOf(stateNames[:], fields[3])
	if state < 0 {
		return Key{}, fmt.Errorf("state: expected active or verify-only")
	}
	secretKey := make([]byte, secretBytes)
	if err := parseHex(secretKey, fields[4]); err != nil {
		return Key{}, fmt.Errorf("secret: %w", err)
	}
	key.Created, key.State, key.secret = created.Unix(), KeyState(state), hide(secretKey)
	return key, nil
}

// Marshal returns the file, secrets included. It belongs into a private file and
// nowhere else.
func (r *Keyring) Marshal() []byte {
	var file bytes.Buffer
	fmt.Fprintf(&file, "%s\n# KID, created, state, secret\n", keyringHeader)
	r.writeKeys(&file)
	fmt.Fprintln(&file, r.sum())
	return file.Bytes()
}

// writeKeys writes the lines of the keys.
func (r *Keyring) writeKeys(w io.Writer) {
	for _, key := range r.keys {
		fmt.Fprintf(w, "key %v %s %v %s\n", key.KID, timeWord(key.Created), key.State, hex.EncodeToString(key.secret()))
	}
}

// sum is the line behind the keys.
func (r *Keyring) sum() string {
	hash := sha256.New()
	r.writeKeys(hash)
	return sumWord + hex.EncodeToString(hash.Sum(nil)[:sumBytes])
}

// Add puts a key behind the others. A KID that is there already is an error, and so
// is a secret of zeros.
func (r *Keyring) Add(key Key) error {
	switch {
	case key.secret == nil || bytes.Equal(key.secret(), make([]byte, secretBytes)):
		return fmt.Errorf("add key %v: it has no secret", key.KID)
	case key.State != KeyActive && key.State != KeyVerifyOnly:
		return fmt.Errorf("add key %v: its state is unknown", key.KID)
	case key.Created < 0 || key.Created > unixMax:
		return fmt.Errorf("add key %v: its time is before 1970 or after 9999", key.KID)
	case len(r.keys) == keyringKeysMax:
		return fmt.Errorf("add key %v: the keyring holds %d keys already: remove retired ones", key.KID, keyringKeysMax)
	}
	if _, there := r.Key(key.KID); there {
		return fmt.Errorf("add key %v: the keyring has it already", key.KID)
	}
	r.keys = append(r.keys, key)
	return nil
}

// Retire makes a key verify-only: what it has minted stays valid.
func (r *Keyring) Retire(kid KID) error {
	return r.change(kid, func(i int) { r.keys[i].State = KeyVerifyOnly })
}

// Remove takes a key away: what it has minted is valid no more.
func (r *Keyring) Remove(kid KID) error {
	return r.change(kid, func(i int) { r.keys = slices.Delete(r.keys, i, i+1) })
}

func (r *Keyring) change(kid KID, do func(i int)) error {
	i := slices.IndexFunc(r.keys, func(key Key) bool { return key.KID == kid })
	if i < 0 {
		return fmt.Errorf("change key %v: the keyring does not have it", kid)
	}
	do(i)
	return nil
}

// Key finds a key. A nil Keyring has none.
func (r *Keyring) Key(kid KID) (Key, bool) {
	if r == nil {
		return Key{}, false
	}
	for _, key := range r.keys {
		if key.KID == kid {
			return key, true
		}
	}
	return Key{}, false
}

// Keys returns the keys in the order of the file.
func (r *Keyring) Keys() []Key { return slices.Clone(r.keys) }

// Minting returns the key that mints: the newest active one, and of those made in
// one second the first.
func (r *Keyring) Minting() (Key, error) {
	var newest Key
	for _, key := range r.keys {
		if key.State == KeyActive && (newest.secret == nil || key.Created > newest.Created) {
			newest = key
		}
	}
	if newest.secret == nil {
		return Key{}, fmt.Errorf("find the key that mints: the keyring has no active key: add one")
	}
	return newest, nil
}

// String lists the keys without their secrets.
func (r *Keyring) String() string {
	if r == nil {
		return "keyring()"
	}
	return "keyring(" + listWords(r.keys, Key.String) + ")"
}

// Format shows what String shows, for every verb.
func (r *Keyring) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, r.String()) }
