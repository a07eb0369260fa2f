//go:build ignore

// Generate writes golden.json: entries, frames and messages as bytes with their
// readable twins. It shares no code with package wire, so that a mistake in the
// package does not repeat itself here. From the root of the repository:
//
//	go run ./wire/testdata/generate.go > wire/testdata/golden.json
package main

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
)

// vector is one case; Reason is empty for bytes that are good.
type vector struct {
	Name    string `json:"name"`
	What    string `json:"what"` // `entry`, `record`, `frame`, or the name of a message
	Meaning string `json:"meaning"`
	Hex     string `json:"hex"`
	Reason  string `json:"reason,omitempty"`
	Offset  int    `json:"offset,omitempty"`
}

var le = binary.LittleEndian

func u16(n uint16) string { return string(le.AppendUint16(nil, n)) }
func u32(n uint32) string { return string(le.AppendUint32(nil, n)) }
func u64(n uint64) string { return string(le.AppendUint64(nil, n)) }

func zeros(n int) string { return strings.Repeat("\x00", n) }

// counting is the bytes from, from+1, … of length n.
func counting(from byte, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return string(b)
}

// entry lays out one entry by hand.
func entry(kind byte, account, counterparty, memo, ref, asset string, amount uint64) string {
	names := account + counterparty + memo
	size := (72 + len(names) + 7) / 8 * 8
	return u16(uint16(size)) + string([]byte{1, kind, byte(len(account)), byte(len(counterparty))}) + u16(uint16(len(memo))) +
		u64(1728794183123) + counting(0x10, 16) + u64(amount) + u64(0) + (ref + zeros(16))[:16] + (asset + zeros(8))[:8] +
		names + zeros(size-72-len(names))
}

// patch replaces bytes at an offset.
func patch(s string, offset int, bytes string) string {
	return s[:offset] + bytes + s[offset+len(bytes):]
}

func frame(kind byte, flags byte, id uint64, payload string) string {
	return u32(uint32(len(payload))) + string([]byte{kind, flags, 0, 0}) + u64(id) + payload
}

func main() {
	vectors := append(entries(), append(epochs(), append(frames(), append(messages(), operatorMessages()...)...)...)...)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	out.SetIndent("", " ")
	if err := out.Encode(vectors); err != nil {
		panic(err)
	}
}

func good(what, name, meaning, bytes string) vector {
	return vector{Name: name, What: what, Meaning: meaning, Hex: hex.EncodeToString([]byte(bytes))}
}

func bad(what, name, meaning, bytes, reason string, offset int) vector {
	v := good(what, name, meaning, bytes)
	v.Reason, v.Offset = reason, offset
	return v
}

var transfer = entry(3, "acct_a", "acct_b", "lunch", "", "EUR", 12345)

func entries() []vector {
	ref := counting(0x80, 16)
	longest := entry(3, strings.Repeat("a", 128), strings.Repeat("b", 128), strings.Repeat("m", 1024), "", "ABCDEFGH", 1)
	asset := func(bytes string) string { return patch(transfer, 64, bytes) }
	v := []vector{
		good("entry", "credit", "Credit of 1 to acct_a in the unnamed unit", entry(1, "acct_a", "", "", "", "", 1)),
		good("entry", "debit", "Debit of 1 from acct_a in EUR", entry(2, "acct_a", "", "", "", "EUR", 1)),
		good("entry", "transfer", "Transfer of 12345 EUR from acct_a to acct_b, memo lunch", transfer),
		good("entry", "mint", "Mint of 2^64-1 to a, the shortest entry there is", entry(4, "a", "", "", "", "", 1<<64-1)),
		good("entry", "mint 2^128-1", "Mint of the greatest amount", patch(entry(4, "a", "", "", "", "", 1), 32, strings.Repeat("\xff", 16))),
		good("entry", "burn", "Burn of 7", entry(5, "bank/cash", "", "", "", "CZK", 7)),
		good("entry", "hold", "Hold of 7", entry(6, "user:1@host", "", "", "", "X.Y-Z", 7)),
		good("entry", "reverse", "Reverse of the entry 80…8f", entry(7, "acct_a", "", "", ref, "EUR", 7)),
		good("entry", "release", "Release of 7 of the hold 80…8f", entry(8, "acct_a", "", "", ref, "EUR", 7)),
		good("entry", "capture", "Capture of 7 of the hold 80…8f for acct_b", entry(9, "acct_a", "acct_b", "", ref, "EUR", 7)),
		good("entry", "opaque memo", "a memo is any bytes", entry(4, "a", "", "\x00\xff\n", "", "", 1)),
		good("entry", "longest", "every length at its limit: 1352 bytes", longest),

		bad("entry", "nothing", "no bytes at all", "", "malformed", 0),
		bad("entry", "cut header", "71 bytes of a header", transfer[:71], "malformed", 71),
		bad("entry", "cut body", "the size lies beyond the data", transfer[:len(transfer)-8], "malformed", 0),
		bad("entry", "size 72", "size below 80", patch(transfer, 0, u16(72)), "malformed", 0),
		bad("entry", "size 2056", "size above 2048", patch(transfer, 0, u16(2056)), "too_large", 0),
		bad("entry", "size 90", "size is no multiple of 8", patch(transfer, 0, u16(90)), "malformed", 0),
		bad("entry", "size too big", "8 bytes of padding too many", patch(transfer, 0, u16(104))+zeros(8), "malformed", 0),
		bad("entry", "bytes behind", "a byte follows the entry", transfer+"\x00", "malformed", len(transfer)),
		bad("entry", "version 0", "unknown version", patch(transfer, 2, "\x00"), "malformed", 2),
		bad("entry", "version 2", "unknown version", patch(transfer, 2, "\x02"), "malformed", 2),
		bad("entry", "kind 0", "unknown kind", patch(transfer, 3, "\x00"), "unknown_kind", 3),
		bad("entry", "kind 10", "unknown kind", patch(transfer, 3, "\x0a"), "unknown_kind", 3),
		bad("entry", "kind 240", "Epoch is the server's alone", patch(entry(4, "a", "", "", "", "", 1), 3, "\xf0"), "unknown_kind", 3),
		bad("entry", "no account", "account length 0", patch(transfer, 4, "\x00"), "malformed", 4),
		bad("entry", "account length 129", "account length above 128", patch(transfer, 4, "\x81"), "malformed", 4),
		bad("entry", "transfer without counterparty", "counterparty length 0", entry(3, "acct_a", "", "", "", "", 1), "malformed", 5),
		bad("entry", "mint with counterparty", "the kind has none", entry(4, "acct_a", "b", "", "", "", 1), "malformed", 5),
		bad("entry", "counterparty length 129", "counterparty length above 128", patch(transfer, 5, "\x81"), "malformed", 5),
		bad("entry", "memo length 1025", "memo length above 1024", patch(transfer, 6, u16(1025)), "malformed", 6),
		bad("entry", "amount 0", "an amount is greater than 0", entry(4, "a", "", "", "", "", 0), "malformed", 32),
		bad("entry", "ref on a transfer", "the kind has no ref", patch(transfer, 63, "\x01"), "malformed", 48),
		bad("entry", "asset lower case", "asset EuR", asset("EuR"), "malformed", 65),
		bad("entry", "asset with a hole", "asset E, zero, R", asset("E\x00R"), "malformed", 66),
		bad("entry", "asset after zero", "asset zero, U", asset("\x00U\x00"), "malformed", 64),
		bad("entry", "account with a space", "a byte outside the alphabet", patch(transfer, 74, " "), "malformed", 74),
		bad("entry", "counterparty not ASCII", "a byte outside the alphabet", patch(transfer, 83, "\xc3"), "malformed", 83),
		bad("entry", "lengths beyond the size", "names that end behind the entry", patch(transfer, 4, "\x80"), "malformed", 0),
		bad("entry", "padding", "the last byte of the padding is 1", patch(transfer, len(transfer)-1, "\x01"), "malformed", len(transfer)-1),
		bad("entry", "padding of the memo", "the memo length leaves its last byte in the padding", patch(entry(3, "acct_a", "acct_b", "lunches", "", "", 1), 6, u16(6)), "malformed", 90),
	}
	return v
}

// epochs are records of the kind that the server alone writes.
func epochs() []vector {
	said := u64(7) + counting(0x40, 32) + u64(9)
	plain := entry(240, "epoch", "", said+"lost the end", counting(0x80, 16), "", 2) + zeros(24)
	last := len(plain) - 24
	return []vector{
		good("record", "epoch", "Epoch 2, log 10…1f behind 80…8f, cut at 7 under root 40…5f, 9 were acknowledged, because: lost the end", plain),
		good("record", "epoch without a reason", "nothing is known to be lost", entry(240, "epoch", "", patch(said, 40, u64(0)), counting(0x80, 16), "", 1)+zeros(24)),
		good("record", "epoch longest", "a reason of 256 bytes", entry(240, "epoch", "", said+strings.Repeat("~", 256), counting(0x80, 16), "", 1)+zeros(24)),
		bad("record", "epoch of another account", "the account is epoch", patch(plain, 72, "E"), "malformed", 4),
		bad("record", "epoch short", "the memo lacks a byte", entry(240, "epoch", "", said[:47], "", "", 1)+zeros(24), "malformed", 6),
		bad("record", "epoch long", "a reason of 257 bytes", entry(240, "epoch", "", said+strings.Repeat("~", 257), counting(0x80, 16), "", 1)+zeros(24), "malformed", 6),
		bad("record", "epoch without log id", "the log id is zero", patch(plain, 16, zeros(16)), "malformed", 16),
		bad("record", "epoch 0", "a ledger begins in epoch 0, no record says so", patch(plain, 32, u64(0)), "malformed", 32),
		bad("record", "epoch 2^64", "the number has 64 bits", patch(plain, 40, u64(1)), "malformed", 40),
		bad("record", "epoch that stays", "the old log id is the new one", patch(plain, 48, counting(0x10, 16)), "malformed", 48),
		bad("record", "epoch in EUR", "it moves nothing", patch(plain, 64, "EUR"), "malformed", 64),
		bad("record", "epoch with a counterparty", "the kind has none", patch(plain, 5, "\x01"), "malformed", 5),
		bad("record", "epoch reason", "a line break in the reason", patch(plain, 72+5+48+4, "\n"), "malformed", 72+5+48+4),
		bad("record", "epoch stamp", "no token authorised it", patch(plain, last, "\x01"), "malformed", last),
		bad("record", "epoch cut off", "a byte of the stamp is missing", plain[:len(plain)-1], "malformed", len(plain)-1),
	}
}

func frames() []vector {
	status := frame(0x30, 0, 9, "")
	hello := "RLGR" + u16(1) + u16(1) + u16(4) + "\x04\x00" + "\xde\xad\xbe\xef" + "demo"
	request := u32(0) + u32(1) + zeros(16) + transfer
	appended := u64(1) + u64(1) + u64(1) + counting(0x40, 32) + u32(1) + u32(0) + u32(0)
	refused := u64(0) + u64(0) + u64(1) + counting(0x40, 32) + u32(0) + u32(1) + u32(0) +
		u32(0) + "\x02\x0b" + u16(0) + u32(0) + u64(0)
	return []vector{
		good("frame", "worked hello", "HELLO, request 1: versions 1 to 1, token deadbeef, client demo", frame(0x01, 0, 1, hello)),
		good("frame", "worked append", "APPEND, request 2: one entry, not atomic", frame(0x10, 0, 2, request)),
		good("frame", "worked appended", "APPENDED, request 2: entry 1 is new", frame(0x11, 0, 2, appended)),
		good("frame", "worked refused", "APPENDED, request 2: entry 0 rejected, insufficient_funds", frame(0x11, 0, 2, refused)),
		good("frame", "status request", "STATUS, request 9", status),
		good("frame", "more", "an answer that goes on", frame(0x23, 2, 9, u64(0)+u64(0)+u64(0)+u32(0)+u32(0))),
		good("frame", "unknown type", "an unknown type is no fault of the frame", frame(0x7a, 0, 9, "")),
		bad("frame", "unknown flag", "flag bit 2", patch(status, 5, "\x04"), "malformed", 5),
		bad("frame", "reserved 6", "reserved byte", patch(status, 6, "\x01"), "malformed", 6),
		bad("frame", "reserved 7", "reserved byte", patch(status, 7, "\x01"), "malformed", 7),
		bad("frame", "too long", "1 MiB + 1", patch(status, 0, u32(1<<20+1)), "too_large", 0),
		bad("frame", "lying length", "4 GiB - 1", patch(status, 0, u32(1<<32-1)), "too_large", 0),
	}
}

func messages() []vector {
	root := counting(0x40, 32)
	head := u64(5) + root + u64(1728794183999)
	record := transfer + counting(0xa0, 16) + counting(0xb0, 8)
	hello := "RLGR" + u16(1) + u16(2) + u16(4) + "\x04\x00" + "\xde\xad\xbe\xef" + "demo"
	welcome := u16(1) + "\x04\x06\x09\x02" + u16(5) + u16(3) + zeros(2) + u32(1<<20) + u32(64) + u32(8192) +
		counting(0xc0, 16) + u64(1) + head + "node" + "blake3" + "macronode" + "a+b+c" + "tok" +
		u16(9) + "op = read" + u16(11) + "op = append"
	appendOne := u32(0) + u32(1) + zeros(16) + transfer
	atomic := u32(3) + u32(2) + counting(0x20, 16) + transfer + transfer
	appended := u64(7) + u64(8) + u64(8) + root + u32(2) + u32(2) + u32(1) +
		u32(1) + "\x01\x00" + u16(0) + u32(0) + u64(3) +
		u32(3) + "\x02\x09" + u16(5) + u32(32) + u64(0) + "wrong" +
		"\x06" + "EUR" + zeros(5) + u64(100) + u64(0) + u64(25) + u64(0) + "acct_a"
	rangeOf := u32(0) + "\x00" + zeros(3) + u64(1) + u64(1<<64-1) + zeros(16)
	identity := u32(1) + "\x06" + zeros(3) + u64(0) + u64(0) + counting(0x10, 16) + "acct_a"
	entriesAnswer := u64(5) + u64(1) + u64(0) + u32(1) + u32(0) + u64(5) + u64(1728794183999) + record
	account := u32(0) + u32(0) + zeros(8) + "\x06\x00" + zeros(6) + "acct_a"
	listing := u32(3) + u32(10) + "EUR" + zeros(5) + "\x06\x05" + zeros(6) + "acct_a" + "acct_"
	accountAnswer := u64(5) + root + u32(1) + u32(1) + "\x06" + "EUR" + zeros(5) + u64(100) + u64(0) + u64(25) + u64(0) + "acct_a"
	roots := u64(5) + u32(1) + u32(5) + head + "note\n"
	prove := u32(0) + "\x00" + zeros(3) + u64(5) + u64(0) + zeros(16)
	proveIdentity := u32(1) + "\x06" + zeros(3) + u64(0) + u64(9) + counting(0x10, 16) + "acct_a"
	consistency := u32(2) + "\x00" + zeros(3) + u64(3) + u64(5) + zeros(16)
	proveAnswer := u32(0) + u16(2) + u16(uint16(len(record))) + u64(2) + u64(3) + root + u32(5) + zeros(4) +
		counting(1, 32) + counting(2, 32) + record + "note\n"
	consistencyAnswer := u32(2) + u16(1) + u16(0) + u64(3) + u64(5) + root + u32(5) + zeros(4) + counting(1, 32) + "note\n"
	errorMessage := "\x05\x00" + u16(4) + u32(50) + u32(0) + "full"
	return []vector{
		good("hello", "hello", "versions 1 to 2, token deadbeef, client demo", hello),
		bad("hello", "hello magic", "RLGX", patch(hello, 3, "X"), "malformed", 0),
		bad("hello", "hello version 0", "lowest version 0", patch(hello, 4, u16(0)), "malformed", 4),
		bad("hello", "hello versions", "lowest above highest", patch(hello, 4, u16(3)), "malformed", 4),
		bad("hello", "hello token length", "token length 4097", patch(hello, 8, u16(4097)), "malformed", 8),
		bad("hello", "hello client length", "client length 65", patch(hello, 10, "\x41"), "malformed", 10),
		bad("hello", "hello reserved", "reserved byte", patch(hello, 11, "\x01"), "malformed", 11),
		bad("hello", "hello client", "an escape in the name", patch(hello, 17, "\x1b"), "malformed", 17),
		bad("hello", "hello cut", "a byte is missing", hello[:len(hello)-1], "malformed", len(hello)-1),
		bad("hello", "hello long", "a byte too many", hello+"x", "malformed", len(hello)),
		good("welcome", "welcome", "two rights, a token handed out", welcome),
		bad("welcome", "welcome cut", "the second right is cut off", welcome[:len(welcome)-3], "malformed", len(welcome)-3),
		good("auth", "auth", "token tok", u16(3)+zeros(2)+"tok"),
		bad("auth", "auth cut", "token cut off", u16(3)+zeros(2)+"to", "malformed", 6),
		good("ok", "ok", "empty", ""),
		bad("ok", "ok long", "a byte too many", "x", "malformed", 0),
		good("append", "append one", "one entry", appendOne),
		good("append", "append atomic", "two entries, atomic, with balances and an idem_id", atomic),
		good("append", "append dry run", "one entry, dry run", patch(appendOne, 0, u32(4))),
		bad("append", "append flag", "flag bit 3", patch(appendOne, 0, u32(8)), "malformed", 0),
		bad("append", "append none", "count 0", patch(appendOne, 4, u32(0)), "malformed", 4),
		bad("append", "append count", "more entries than the payload can hold", patch(appendOne, 4, u32(1<<32-1)), "malformed", 4),
		bad("append", "append few", "fewer entries than the payload holds", u32(0)+u32(1)+zeros(16)+strings.Repeat(transfer, 30), "malformed", 4),
		bad("append", "append idem_id", "idem_id without atomic", patch(atomic, 0, u32(2)), "malformed", 8),
		bad("append", "append cut", "fixed part cut off", appendOne[:23], "malformed", 23),
		good("appended", "appended", "two new, one duplicate, one rejected, one balance", appended),
		bad("appended", "appended outcome", "outcome 3", patch(appended, 72, "\x03"), "malformed", 72),
		bad("appended", "appended reason", "a duplicate with a reason", patch(appended, 73, "\x01"), "malformed", 73),
		bad("appended", "appended no reason", "a rejected entry without a reason", patch(appended, 93, "\x00"), "malformed", 93),
		bad("appended", "appended no seq", "a duplicate without a sequence number", patch(appended, 80, u64(0)), "malformed", 80),
		bad("appended", "appended seq", "a rejected entry with a sequence number", patch(appended, 100, u64(9)), "malformed", 100),
		bad("appended", "appended detail", "a detail that is not text", patch(appended, 108, "\x1b"), "malformed", 108),
		bad("appended", "appended account", "a balance without an account", patch(appended, 113, "\x00"), "malformed", 113),
		bad("appended", "appended asset", "a balance in eur", patch(appended, 114, "e"), "malformed", 114),
		bad("appended", "appended results", "more results than there are: the balance is no result", patch(appended, 60, u32(1<<32-1)), "malformed", 117),
		good("roots", "roots", "since 5, at most 10, wait 30 s", u64(5)+u32(10)+u32(30000)),
		good("roots_answer", "roots answer", "one root and a checkpoint", roots),
		bad("roots_answer", "roots count", "more roots than bytes", patch(roots, 8, u32(1<<32-1)), "malformed", 8),
		good("entries", "entries range", "from 1 to the head", rangeOf),
		good("entries", "entries identity", "acct_a and its nonce", identity),
		bad("entries", "entries from 0", "sequence numbers start at 1", patch(rangeOf, 8, u64(0)), "malformed", 8),
		bad("entries", "entries both", "identity and range", patch(identity, 8, u64(1)), "malformed", 8),
		bad("entries", "entries backwards", "the range ends before it starts", patch(rangeOf, 8, u64(2)+u64(1)), "malformed", 8),
		bad("entries", "entries nonce", "a range with a nonce", patch(rangeOf, 24, "\x01"), "malformed", 4),
		bad("entries", "entries no account", "an identity without an account", patch(identity, 4, "\x00")[:40], "malformed", 4),
		bad("entries", "entries account", "a byte outside the alphabet", patch(identity, 41, " "), "malformed", 41),
		good("entries_answer", "entries answer", "record 5", entriesAnswer),
		bad("entries_answer", "entries kind", "a record of kind 99", patch(entriesAnswer, 51, "\x63"), "unknown_kind", 51),
		bad("entries_answer", "entries cut", "the stamp is cut off", entriesAnswer[:len(entriesAnswer)-1], "malformed", len(entriesAnswer)-1),
		good("account", "account", "acct_a", account),
		good("account", "account listing", "10 accounts behind acct_a that start with acct_, EUR only", listing),
		bad("account", "account none", "no name", patch(account, 16, "\x00")[:24], "malformed", 16),
		bad("account", "account prefix", "a prefix without a listing", patch(listing, 0, u32(2)), "malformed", 17),
		bad("account", "account limit", "a limit without a listing", patch(account, 4, u32(1)), "malformed", 4),
		bad("account", "account asset", "an asset without its flag", patch(account, 8, "X"), "malformed", 8),
		good("account_answer", "account listing answer", "one row, and more accounts behind it", patch(accountAnswer, 40, u32(2))),
		good("account_answer", "account answer", "acct_a has 100 EUR and 25 held", accountAnswer),
		bad("account_answer", "account flag", "flag bit 2", patch(accountAnswer, 40, u32(4)), "malformed", 40),
		good("prove", "prove", "entry 5 in the newest tree", prove),
		good("prove", "prove identity", "acct_a and its nonce, in the tree of 9", proveIdentity),
		good("prove", "prove consistency", "that the tree of 3 is the beginning of that of 5", consistency),
		bad("prove", "prove flag", "flag bit 2", patch(prove, 0, u32(4)), "malformed", 0),
		bad("prove", "prove both", "identity and consistency", patch(proveIdentity, 0, u32(3)), "malformed", 0),
		bad("prove", "prove reserved", "reserved byte", patch(prove, 7, "\x01"), "malformed", 7),
		bad("prove", "prove none", "sequence numbers start at 1", patch(prove, 8, u64(0)), "malformed", 8),
		bad("prove", "prove beyond", "entry 5 in a tree of 4", patch(prove, 16, u64(4)), "malformed", 8),
		bad("prove", "prove backwards", "the tree of 6 in that of 5", patch(consistency, 8, u64(6)), "malformed", 8),
		bad("prove", "prove identity and number", "both", patch(proveIdentity, 8, u64(1)), "malformed", 8),
		bad("prove", "prove nonce", "a nonce without an account", patch(prove, 24, "\x01"), "malformed", 4),
		bad("prove", "prove no account", "an identity without an account", patch(proveIdentity, 4, "\x00")[:40], "malformed", 4),
		bad("prove", "prove cut", "the account is cut off", proveIdentity[:45], "malformed", 45),
		good("prove_answer", "prove answer", "entry 2 in a tree of 3", proveAnswer),
		good("prove_answer", "prove consistency answer", "3 in 5", consistencyAnswer),
		bad("prove_answer", "prove answer flag", "flag bit 0", patch(proveAnswer, 0, u32(1)), "malformed", 0),
		bad("prove_answer", "prove answer hashes", "65 hashes", patch(proveAnswer, 4, u16(65)), "malformed", 4),
		bad("prove_answer", "prove answer no record", "an inclusion proof without a record", patch(consistencyAnswer, 0, u32(0)), "malformed", 6),
		bad("prove_answer", "prove answer record", "a consistency proof with a record", patch(proveAnswer, 0, u32(2)), "malformed", 6),
		bad("prove_answer", "prove answer beyond", "entry 4 in a tree of 3", patch(proveAnswer, 8, u64(4)), "malformed", 8),
		bad("prove_answer", "prove answer checkpoint", "a checkpoint longer than the message", patch(proveAnswer, 56, u32(6)), "malformed", 56),
		bad("prove_answer", "prove answer kind", "a record of kind 99", patch(proveAnswer, 131, "\x63"), "unknown_kind", 131),
		bad("prove_answer", "prove answer cut", "a hash is cut off", consistencyAnswer[:70], "malformed", 70),
		good("status", "status", "empty", ""),
		bad("status", "status long", "a byte too many", "x", "malformed", 0),
		good("status_answer", "status answer", "one object", `{"ready":true}`),
		good("watch", "watch", "from size 5", u64(5)),
		good("watch_answer", "watch answer", "entries 4 and 5", u64(4)+head),
		good("error", "error", "busy, try again in 50 ms", errorMessage),
		good("error", "error unknown reason", "reason 200 may come from a newer server", patch(errorMessage, 0, "\xc8")),
		bad("error", "error none", "reason 0", patch(errorMessage, 0, "\x00"), "malformed", 0),
	}
}

// operatorMessages are those that a client for applications need not speak.
func operatorMessages() []vector {
	admin := func(command, textLength byte, ms uint32, text string) string {
		return string([]byte{command, textLength, 0, 0}) + u32(ms) + text
	}
	profile := admin(4, 3, 10_000, "cpu")
	return []vector{
		good("snapshot", "snapshot", "no flags", u32(0)),
		bad("snapshot", "snapshot flags", "a flag that there is not", u32(1), "malformed", 0),
		bad("snapshot", "snapshot short", "3 bytes of 4", zeros(3), "malformed", 3),
		good("snapshot_answer", "snapshot answer", "a piece of a file, any bytes", "\x28\xb5\x2f\xfd\x00"),
		good("admin", "admin log level", "the level is asked for", admin(1, 0, 0, "")),
		good("admin", "admin set log level", "debug from now on", admin(1, 5, 0, "debug")),
		good("admin", "admin profile", "a profile of the processor, of 10 s", profile),
		good("admin", "admin trace", "a trace, for as long as the server likes", admin(6, 0, 0, "")),
		good("admin", "admin of a later version", "command 240: whoever serves refuses it", admin(240, 0, 0, "")),
		bad("admin", "admin none", "command 0", patch(profile, 0, "\x00"), "malformed", 0),
		bad("admin", "admin text length 65", "a text is at most 64 bytes", admin(4, 65, 0, strings.Repeat("a", 65)), "malformed", 1),
		bad("admin", "admin reserved", "byte 3 is 1", patch(profile, 3, "\x01"), "malformed", 3),
		bad("admin", "admin escape", "an escape in the text", patch(profile, 9, "\x1b"), "malformed", 9),
		bad("admin", "admin cut", "2 bytes of the text's 3", profile[:10], "malformed", 10),
		bad("admin", "admin long", "a byte too many", profile+"x", "malformed", 11),
		good("admin_answer", "admin answer", "a piece, any bytes", "info\n"),
	}
}
