// Command serves3 is an object store in memory for benchmarks and trials. It takes requests over HTTP, hands
// them to fakes3 and answers each after a pause, as a store at some distance does. It forgets everything when it ends.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rustyonions/ron-ledger/archive/bucket/fakes3"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:5090", "address")
	delay := flag.Duration("delay", 20*time.Millisecond, "pause before each answer")
	flag.Parse()
	listener, err := net.Listen("tcp", *addr)
	if err == nil {
		fmt.Printf("http://%s, any bucket and any key, each answer after %s\n", listener.Addr(), *delay)
		err = http.Serve(listener, &fakes3.Faulty{Next: new(fakes3.Store), Decide: func(*http.Request) fakes3.Fault {
			return fakes3.Fault{Delay: *delay}
		}})
	}
	fmt.Fprintln(os.Stderr, "serves3:", err)
	os.Exit(1)
}
