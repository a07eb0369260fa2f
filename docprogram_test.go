package ronledger_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// frame makes a program of the lines that a document shows.
type frame struct {
	file, language string // which blocks
	has            string // and what they have; "" for anything
	name           string // of the program's file
	before, after  string
	indent         string
	command        string
}

// programs are the frames; the first that fits a block is its.
var programs = []frame{
	{
		file: "docs/CLIENTS.md", language: "go",
		name: "example/main.go",
		before: `package main

import (
	"context"
	"fmt"
	"os"

	"github.com/rustyonions/ron-ledger/wire"
	"github.com/rustyonions/ron-ledger/wire/client"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var order struct{ Nonce wire.Nonce }
	order.Nonce = client.NewNonce()
`,
		after:   "\tif err != nil || booked.Seq == 0 {\n\t\treturn fmt.Errorf(\"%v: %w\", booked, err)\n\t}\n\treturn nil\n}\n",
		command: "go vet ./example && go run ./example",
	},
	{
		file: "docs/CLIENTS.md", language: "python", has: "async ",
		name: "asynchronous.py",
		before: `import asyncio, types, ronledger
order = types.SimpleNamespace(nonce=ronledger.uuid7())
async def main():
`,
		indent:  "    ",
		after:   "    assert booked.seq > 0, booked\nasyncio.run(main())\n",
		command: "PYTHONPATH=wire/client/python python3 asynchronous.py",
	},
	{
		file: "docs/CLIENTS.md", language: "python",
		name: "blocking.py",
		before: `import types, ronledger
order = types.SimpleNamespace(nonce=ronledger.uuid7())
batches = [ronledger.Batch([ronledger.Entry("Transfer", "acct/a", 1, "acct/b")]) for _ in range(10)]
`,
		after:   "assert seq > 0 and not refused, result\n",
		command: "PYTHONPATH=wire/client/python python3 blocking.py",
	},
	{
		file: "docs/CLIENTS.md", language: "js",
		name:    "example.mjs",
		before:  "import { uuid7 } from 'ron-ledger-client';\nconst nonce = uuid7();\n",
		after:   "if (!(seq > 0n)) throw new Error(`booked as ${seq}`);\n",
		command: "mkdir -p node_modules && ln -sfn ../wire/client/node node_modules/ron-ledger-client && node example.mjs",
	},
}

// frameOf returns the frame of a block, nil where there is none.
func frameOf(b *block) *frame {
	for i, f := range programs {
		if f.file == b.file && f.language == b.info && strings.Contains(b.text, f.has) {
			return &programs[i]
		}
	}
	return nil
}

// around writes the program and returns the block that carries it out. A line … in Go stands for what everybody writes
// there.
func (f *frame) around(st *stage, b *block) *block {
	text := strings.NewReplacer("/run/ledger/ledger.sock", filepath.Join(st.home, "ledger.sock"), "/run/ledger/token", filepath.Join(st.home, "token"),
		"10001", strconv.Itoa(os.Getuid()), "\n…\n", "\nif err != nil {\n\treturn err\n}\n").Replace(b.text)
	var program strings.Builder
	program.WriteString(f.before)
	for line := range strings.Lines(text) {
		program.WriteString(f.indent + line)
	}
	program.WriteString(f.after)
	if err := os.MkdirAll(filepath.Dir(filepath.Join(st.dir, f.name)), 0o700); err != nil {
		st.t.Fatal(err)
	}
	st.write(f.name, program.String())
	return &block{file: b.file, line: b.line, text: f.command + "\n"}
}
