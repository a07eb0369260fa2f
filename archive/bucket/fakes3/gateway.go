package fakes3

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Keys of the gateway that StartGateway starts, and its bucket.
const (
	GatewayKeyID  = "key"
	GatewaySecret = "wJalrXUtnFEMI-secret"
	Bucket        = "ledgers"
)

const gatewayStart = 30 * time.Second

// StartGateway starts a real store, the program versitygw, over a directory, and returns its URL. It is
// ready when this returns.
func StartGateway(program, dir string) (endpoint string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr := listener.Addr().String()
	if err := errors.Join(listener.Close(), os.MkdirAll(filepath.Join(dir, Bucket), 0o755)); err != nil {
		return "", nil, err
	}
	command := exec.Command(program, "--port", addr, "posix", dir)
	command.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+GatewayKeyID, "ROOT_SECRET_KEY="+GatewaySecret)
	if err := command.Start(); err != nil {
		return "", nil, fmt.Errorf("start %s: %w", program, err)
	}
	stop = func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}
	for deadline := time.Now().Add(gatewayStart); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return "http://" + addr, stop, nil
		}
	}
	stop()
	return "", nil, fmt.Errorf("%s does not listen at %s", program, addr)
}

// Proxy passes requests on to a store as they are signed.
func Proxy(endpoint string) (http.Handler, error) {
	target, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			host := r.In.Host
			r.SetURL(target)
			r.Out.Host = host // which is what was signed
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { refuse(w, http.StatusBadGateway, "BadGateway") },
	}, nil
}
