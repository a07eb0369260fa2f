"""The golden vectors of wire/testdata: every good message is read or written byte for
byte, every bad one is refused with its reason and offset."""

import json
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1]))
WIRE = HERE.parents[3] / "testdata"

from ronledger import codec, messages as m  # noqa: E402
from ronledger.errors import Fault  # noqa: E402

NONCE, ROOT = bytes(range(0x10, 0x20)), bytes(range(0x40, 0x60))
DECODERS = {
    "welcome": m.decode_welcome, "ok": m.decode_ok, "appended": m.decode_appended, "roots_answer": m.decode_roots,
    "entries_answer": m.decode_entries, "account_answer": m.decode_account, "prove_answer": m.decode_proof,
    "watch_answer": m.decode_watched, "error": m.decode_error, "entry": codec.check_entry, "record": codec.check_record, "status_answer": json.loads,
}


def transfer() -> bytes:
    return codec.encode_entry("Transfer", "acct_a", 12345, "acct_b", "EUR", NONCE, None, 1728794183123, b"lunch")


# The good requests, as this client writes them from their meaning.
REQUESTS = {
    "hello": lambda: m.hello(b"\xde\xad\xbe\xef", "demo", (1, 2)),
    "auth": lambda: m.auth(b"tok"),
    "append one": lambda: m.append_payload(0, 1, bytes(16), transfer()),
    "append atomic": lambda: m.append_payload(3, 2, bytes(range(0x20, 0x30)), transfer() * 2),
    "append dry run": lambda: m.append_payload(4, 1, bytes(16), transfer()),
    "roots": lambda: m.roots(5, 10, 30000),
    "entries range": lambda: m.entries_by_range(1, m.TO_HEAD),
    "entries identity": lambda: m.entries_by_identity("acct_a", NONCE),
    "account": lambda: m.account("acct_a"),
    "account listing": lambda: m.listing("acct_", "acct_a", 10, "EUR"),
    "prove": lambda: m.prove(5),
    "prove identity": lambda: m.prove_identity("acct_a", NONCE, 9),
    "prove consistency": lambda: m.prove(3, 5, consistency=True),
    "status": lambda: b"",
    "watch": lambda: m.watch(5),
    "worked hello": lambda: codec.frame(m.HELLO, 1, m.hello(b"\xde\xad\xbe\xef", "demo")),
    "worked append": lambda: codec.frame(m.APPEND, 2, m.append_payload(0, 1, bytes(16), transfer())),
    "status request": lambda: codec.frame(m.STATUS, 9, b""),
}
OPERATORS = {"snapshot", "snapshot_answer", "admin", "admin_answer"}  # this client does not speak them
SERVER_CHECKS = {"hello", "auth", "append", "roots", "entries", "account", "prove", "status", "watch"}


class Golden(unittest.TestCase):
    def test_vectors(self) -> None:
        written = set()
        for v in json.loads((WIRE / "golden.json").read_text()):
            raw, good = bytes.fromhex(v.get("hex", "")), "reason" not in v
            if v["what"] in OPERATORS:
                continue
            with self.subTest(v["name"]):
                if good and v["name"] in REQUESTS:
                    self.assertEqual(REQUESTS[v["name"]]().hex(), raw.hex())
                    written.add(v["name"])
                if v["what"] in SERVER_CHECKS:
                    self.assertTrue(not good or v["name"] in written, "no writer for a good request")
                    continue
                check = self.frame if v["what"] == "frame" else DECODERS[v["what"]]
                if good:
                    check(raw)
                    if v["what"] == "entry":
                        self.assertEqual(codec.encode_entry(*codec.decode_entry(raw)).hex(), raw.hex())
                    continue
                with self.assertRaises(Fault) as caught:
                    check(raw)
                self.assertEqual((caught.exception.reason, caught.exception.offset), (v["reason"], v.get("offset", 0)))
        self.assertEqual(written, set(REQUESTS))

    def frame(self, raw: bytes) -> None:
        header = codec.parse_header(raw, 0, codec.DEFAULT_MAX_FRAME)
        self.assertEqual(len(raw), 16 + header.length)

    def test_entries_made_elsewhere(self) -> None:
        entries = json.loads((WIRE / "entries-and-roots.json").read_text())["entries"]
        self.assertEqual(len(entries), 300)
        for e in entries:
            made = codec.encode_entry(
                e["kind"], e["account"], int(e["amount"]), e.get("counterparty", ""), e.get("asset", ""), bytes.fromhex(e["nonce"]),
                bytes.fromhex(e["ref"]) if e.get("ref") else None, e["ts"], e.get("memo", "").encode())
            self.assertEqual(made.hex(), e["entry_hex"])
            codec.check_entry(made)

    def test_what_cannot_be_written(self) -> None:
        for fields in (
            ("Mint", "", 1), ("Mint", "a b", 1), ("Mint", "a" * 129, 1), ("Mint", "a", 0), ("Mint", "a", 1 << 128), ("Mint", "a", 1, "b"),
            ("Transfer", "a", 1), ("Mint", "a", 1, "", "eur"), ("Mint", "a", 1, "", "TOOLONGXX"), ("Mint", "a", 1, "", "", b"short"),
            ("Mint", "a", 1, "", "", None, bytes(16)), ("Epoch", "a", 1), ("Mint", "a", 1, "", "", None, None, None, bytes(1025)),
        ):
            with self.subTest(fields), self.assertRaises(Fault):
                codec.encode_entry(*fields)

    def test_nonces(self) -> None:
        block = codec.uuid7_block(1000)
        nonces = {block[at:at + 16] for at in range(0, len(block), 16)}
        self.assertEqual(len(nonces), 1000)
        self.assertTrue(all(n[6] >> 4 == 7 and n[8] >> 6 == 2 for n in nonces))


if __name__ == "__main__":
    unittest.main()
