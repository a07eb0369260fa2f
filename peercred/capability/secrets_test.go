package capability

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gopkg.in/macaroon.v2"
)

// TestSecretsAreNeverShown formats all that holds a secret, in every way that a log or
// an error may, also as unexported fields of structs that know nothing of it.
func TestSecretsAreNeverShown(t *testing.T) {
	token := mintWords(t, "uid = 1000")
	ring := testRing(t, testKey)
	rights := verified(t, token)
	info, err := Inspect(token)
	must(t, err)
	values := map[string]any{
		"token": token, "token pointer": &token, "key": testKey, "key pointer": &testKey, "keyring": ring, "keyring value": *ring, "rights": rights, "info": info,
		"exported fields":    struct{ Token, Key, Ring any }{token, testKey, ring},
		"unexported fields":  struct{ token Token }{token},
		"unexported key":     struct{ key Key }{testKey},
		"unexported keyring": struct{ ring *Keyring }{ring},
		"unexported keys":    struct{ ring Keyring }{*ring},
		"slice":              []Token{token}, "map": map[string]Key{"a": testKey},
	}
	for name, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "% x", "%o", "%b", "%c", "%U"} {
			checkNoSecret(t, name+" as "+verb, fmt.Sprintf(verb, value), token)
		}
		encoded, err := json.Marshal(value)
		checkNoSecret(t, name+" as JSON", fmt.Sprint(string(encoded), err), token)
	}
	if (Token{}).String() != "token(none)" || !strings.Contains(token.String(), "redacted") {
		t.Errorf("%v, %v", Token{}, token)
	}
}

// TestErrorsShowNoSecret breaks a token in every place and looks at what is said.
func TestErrorsShowNoSecret(t *testing.T) {
	token := mintWords(t, "uid = 1000")
	ring := testRing(t, testKey)
	for i := range token.Bytes() {
		changed := token.Bytes()
		changed[i] ^= 0x40
		_, err := verifyBytes(changed, ring, nil)
		checkNoSecret(t, fmt.Sprintf("byte %d changed", i), fmt.Sprintf("%v %+v %#v", err, err, err), token)
		text := []byte(token.Text())
		text[i] = '!'
		_, err = ParseToken(string(text))
		checkNoSecret(t, fmt.Sprintf("character %d changed", i), fmt.Sprintf("%v %+v %#v", err, err, err), token)
	}
	for d := Granted; d <= DeniedAmount; d++ {
		checkNoSecret(t, "denial", fmt.Sprintf("%v %#v %v", d, d, d.Err()), token)
	}
}

// checkNoSecret looks for eight bytes in a row of the secret or of the MAC, in every
// writing in which Go prints bytes.
func checkNoSecret(t *testing.T, what, shown string, token Token) {
	t.Helper()
	var m macaroon.Macaroon
	must(t, m.UnmarshalBinary(token.Bytes()))
	text := token.Text()
	if strings.Contains(shown, text[len(text)-20:]) || strings.Contains(shown, text[:len(text)-4]) {
		t.Errorf("%s shows the token: %s", what, shown)
	}
	lower := strings.ToLower(shown)
	for name, secret := range map[string][]byte{"secret": testKey.secret(), "MAC": m.Signature()} {
		for at := 0; at+8 <= len(secret); at++ {
			piece := secret[at : at+8]
			if bytes.Equal(piece, make([]byte, 8)) {
				continue
			}
			plain, spaced := fmt.Sprint(piece), fmt.Sprintf("%x", piece)
			goSyntax := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", piece), "[]byte{"), "}")
			for _, writing := range []string{strings.Trim(plain, "[]"), spaced, fmt.Sprintf("% x", piece), goSyntax,
				hex.EncodeToString(piece), strings.ToLower(base64.RawURLEncoding.EncodeToString(piece[:6])), string(bytes.ToLower(piece))} {
				if strings.Contains(lower, writing) {
					t.Errorf("%s shows the %s: %s", what, name, shown)
					return
				}
			}
		}
	}
}
