package sidecartest

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rustyonions/ron-ledger/peercred/capability"
	"github.com/rustyonions/ron-ledger/wire"
)

// secretFiles are the files of a home that hold secrets, and nothing else may.
var secretFiles = []string{"keyring", "node.key", "tls.key", "token"}

// macBytes is how long the end of a token is that alone is secret.
const macBytes = 32

// secretForms returns a secret in all the forms in which it could have slipped out.
func secretForms(raw []byte) [][]byte {
	return [][]byte{
		raw, []byte(hex.EncodeToString(raw)), []byte(strings.ToUpper(hex.EncodeToString(raw))),
		[]byte(base64.StdEncoding.EncodeToString(raw)), []byte(base64.RawURLEncoding.EncodeToString(raw)),
	}
}

// secretsOf collects every secret that is in play: root keys, private keys, tokens.
func secretsOf(t *testing.T, home string, tokens ...[]byte) (forms [][]byte) {
	t.Helper()
	for line := range strings.Lines(readText(t, filepath.Join(home, "keyring"))) {
		if fields := strings.Fields(line); fields[0] == "key" {
			raw, err := hex.DecodeString(fields[4])
			if err != nil {
				t.Fatal(err)
			}
			forms = append(forms, secretForms(raw)...)
		}
	}
	for _, name := range []string{"node.key", "tls.key"} {
		block, _ := pem.Decode([]byte(readText(t, filepath.Join(home, name))))
		forms = append(forms, secretForms(block.Bytes)...)
		forms = append(forms, secretForms(block.Bytes[len(block.Bytes)-32:])...)
	}
	for _, token := range tokens {
		forms = append(forms, secretForms(token)...)
		forms = append(forms, secretForms(token[len(token)-macBytes:])...)
	}
	return append(forms, []byte("rl1_"))
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestNoSecretLeavesItsFile runs the real programs through what goes well and what does
// not, and looks for every secret in the log, the errors, the metrics and the home.
func TestNoSecretLeavesItsFile(t *testing.T) {
	bin, home := Build(t), ShortDir(t)
	p := StartProcess(t, bin, home, "--log-level", "debug", "--log-format", "json")
	own := tokenIn(t, home)
	var said bytes.Buffer
	cli := func(args ...string) {
		stdout, stderr, _ := RunCLI(t, bin, home, args...)
		said.WriteString(stdout + stderr)
	}
	files := ShortDir(t)
	app, narrow := filepath.Join(files, "app"), filepath.Join(files, "narrow")
	cli("mint", "a", "10")
	cli("token", "mint", "--caveat", "op = read", "--out", app)
	cli("token", "narrow", app, "--uid", "4242", "--out", narrow)
	cli("token", "inspect", app)
	cli("--token-file", app, "mint", "a", "1")
	cli("--token-file", narrow, "balances")
	cli("key", "add")
	cli("key", "list")
	cli("token", "revoke", app)
	if err := p.command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	awaitOutput(t, p, "the keys of tokens were replaced")
	cli("--token-file", app, "balances")
	broken := filepath.Join(files, "broken")
	if err := os.WriteFile(broken, []byte(readText(t, app)[:60]), 0o600); err != nil {
		t.Fatal(err)
	}
	cli("--token-file", broken, "balances")
	cli("token", "inspect", broken)
	cli("status")
	for _, token := range [][]byte{flipped(own, len(own)-3), own[:len(own)-1], append(own[:len(own):len(own)], 0)} {
		conn := DialRaw(t, filepath.Join(home, "ledger.sock"))
		conn.Send(HelloFrame(token))
		_, payload := conn.Receive()
		said.Write(payload)
	}
	conn := DialRaw(t, filepath.Join(home, "ledger.sock"))
	conn.Send(Frame(wire.FrameAuth, 1, (&wire.Auth{Token: own}).Append(nil)))
	_, payload := conn.Receive()
	said.Write(payload)
	said.WriteString(metricsOf(t, p))
	secrets := secretsOf(t, home, own, tokenFrom(t, app), tokenFrom(t, narrow))
	if code := p.Stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	search(t, "what the programs say", said.Bytes(), secrets)
	search(t, "the log", []byte(p.Output()), secrets)
	if err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || isSecretFile(filepath.Base(path)) {
			return err
		}
		text, err := os.ReadFile(path)
		search(t, path, text, secrets)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func isSecretFile(name string) bool {
	for _, secret := range secretFiles {
		if name == secret {
			return true
		}
	}
	return false
}

func search(t *testing.T, where string, text []byte, secrets [][]byte) {
	t.Helper()
	if len(text) == 0 && !strings.HasPrefix(where, "/") {
		t.Errorf("%s is empty: nothing was looked at", where)
	}
	for i, secret := range secrets {
		if bytes.Contains(text, secret) {
			t.Errorf("%s holds secret %d of %d", where, i, len(secrets))
		}
	}
}

func tokenFrom(t *testing.T, path string) []byte {
	t.Helper()
	token, err := capability.ParseToken(readText(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return token.Bytes()
}

func awaitOutput(t *testing.T, p *Process, text string) {
	t.Helper()
	for deadline := time.Now().Add(startTimeout); !strings.Contains(p.Output(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %q:\n%s", text, p.Output())
		}
	}
}

func metricsOf(t *testing.T, p *Process) string {
	t.Helper()
	stdout, _ := p.CLI("status", "--json")
	var status struct{ HTTPS string }
	if err := json.Unmarshal([]byte(stdout), &status); err != nil {
		t.Fatal(err)
	}
	// What is read here is looked through and not trusted.
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + status.HTTPS + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || !bytes.Contains(text, []byte("token_keys 2")) {
		t.Fatalf("the metrics do not show two keys: %v", err)
	}
	return string(text)
}

// threadStatus returns what the kernel says of each thread of a process. A thread may end meanwhile.
func threadStatus(t *testing.T, p *Process) (all []string) {
	t.Helper()
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(p.PID()), "task", "*", "status"))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	if len(all) == 0 {
		t.Fatal("no threads")
	}
	return all
}

// TestDaemonIsHardened looks at what the kernel says of the real process: nothing that it
// starts gains rights, and it writes no core.
func TestDaemonIsHardened(t *testing.T) {
	p := StartProcess(t, Build(t), ShortDir(t), "--log-level", "info", "--log-format", "json")
	awaitOutput(t, p, `"hardened","took":["no_new_privs","not_dumpable","no_core"]`)
	for _, text := range threadStatus(t, p) {
		if !strings.Contains(text, "NoNewPrivs:\t1") {
			t.Errorf("a thread lacks no_new_privs:\n%s", text)
		}
	}
	if limits := readText(t, filepath.Join("/proc", strconv.Itoa(p.PID()), "limits")); !strings.Contains(strings.Join(strings.Fields(limits), " "), "Max core file size 0 0") {
		t.Errorf("it may write a core file:\n%s", limits)
	}
}
