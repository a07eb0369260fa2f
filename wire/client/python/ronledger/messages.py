"""Requests as bytes, and answers from bytes. No I/O. The layouts are those of
docs/PROTOCOL.md, section 5."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple, Union

from .codec import STAMP_SIZE, Entry, check_asset, check_record, decode_entry, is_text, name_fault, sized_entry, text_fault
from .errors import Fault, reason_name

HELLO, WELCOME, AUTH, OK = 0x01, 0x02, 0x03, 0x04
APPEND, APPENDED = 0x10, 0x11
ROOTS, ENTRIES, ACCOUNT, PROVE, WATCH, STATUS, ERROR = 0x20, 0x22, 0x24, 0x26, 0x28, 0x30, 0x7F

APPEND_HEADER = struct.Struct("<II16s")
_APPENDED = struct.Struct("<QQQ32sIII")
_RESULT = struct.Struct("<IBBHIQ")
_BALANCE = struct.Struct("<B8s16s16s")
_HEAD = struct.Struct("<Q32sq")
_WELCOME = struct.Struct("<HBBBBHHHIII16sQ")
TO_HEAD = (1 << 64) - 1


class Head(NamedTuple):
    """The tree after a commit."""

    size: int
    root: bytes
    time_ms: int


class Balance(NamedTuple):
    account: str
    asset: str
    available: int
    held: int


@dataclass(frozen=True)
class Result:
    """What became of an entry that is not plainly new."""

    index: int
    outcome: str  # duplicate or rejected
    reason: str  # of a rejected entry, else ""
    offset: int
    seq: int  # of the earlier entry for a duplicate, else 0
    detail: str


class Welcome(NamedTuple):
    version: int
    max_frame: int
    max_inflight: int
    max_entries: int
    log_id: bytes
    epoch: int
    head: Head
    server: str
    hash: str
    profile: str
    verify_key: str
    token: bytes
    rights: tuple[str, ...]


class Appended(NamedTuple):
    first: int
    last: int
    size: int
    root: bytes
    accepted: int
    results: tuple[Result, ...]
    balances: tuple[Balance, ...]


class Record(NamedTuple):
    """An entry as the ledger has it."""

    seq: int
    time_ms: int
    entry: Entry
    capability_id: bytes
    key_id: bytes
    raw: bytes  # what the leaf hashes: the entry and the stamp behind it


class EntriesAnswer(NamedTuple):
    size: int
    oldest: int
    next: int
    records: tuple[Record, ...]


class AccountAnswer(NamedTuple):
    size: int
    root: bytes
    known: bool
    goes_on: bool
    balances: tuple[Balance, ...]


class RootsAnswer(NamedTuple):
    next: int
    roots: tuple[Head, ...]
    checkpoint: bytes


class Proof(NamedTuple):
    consistency: bool
    seq: int  # of the entry, or the older size
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    record: bytes
    checkpoint: bytes


class Watched(NamedTuple):
    """The entries first..head.size are new."""

    first: int
    head: Head


class ErrorAnswer(NamedTuple):
    reason: str
    detail: str
    retry_after_ms: int
    offset: int


def hello(token: bytes, name: str, versions: tuple[int, int] = (1, 1)) -> bytes:
    raw = name.encode("ascii")
    return struct.pack("<4sHHHBB", b"RLGR", *versions, len(token), len(raw), 0) + token + raw


def auth(token: bytes) -> bytes:
    return struct.pack("<HH", len(token), 0) + token


def append_payload(flags: int, count: int, idem_id: bytes, entries: bytes) -> bytes:
    return APPEND_HEADER.pack(flags, count, idem_id) + entries


def roots(since: int, limit: int, wait_ms: int) -> bytes:
    return struct.pack("<QII", since, limit, wait_ms)


def entries_by_range(first: int, last: int) -> bytes:
    return struct.pack("<IB3xQQ16s", 0, 0, first, last, bytes(16))


def entries_by_identity(account: str, nonce: bytes) -> bytes:
    raw = account.encode("ascii")
    return struct.pack("<IB3xQQ16s", 1, len(raw), 0, 0, nonce) + raw


def account(name: str) -> bytes:
    raw = name.encode("ascii")
    return struct.pack("<II8sBB6x", 0, 0, bytes(8), len(raw), 0) + raw


def listing(prefix: str, after: str, limit: int = 0, asset: Union[str, None] = None) -> bytes:
    behind, start = after.encode("ascii"), prefix.encode("ascii")
    flags = 1 if asset is None else 3
    return struct.pack("<II8sBB6x", flags, limit, (asset or "").encode("ascii"), len(behind), len(start)) + behind + start


def prove(seq: int, size: int = 0, *, consistency: bool = False) -> bytes:
    return struct.pack("<IB3xQQ16s", 2 if consistency else 0, 0, seq, size, bytes(16))


def prove_identity(name: str, nonce: bytes, size: int = 0) -> bytes:
    raw = name.encode("ascii")
    return struct.pack("<IB3xQQ16s", 1, len(raw), 0, size, nonce) + raw


def watch(size: int) -> bytes:
    return struct.pack("<Q", size)


class _Reader:
    """Reads a message from its first byte to its last."""

    def __init__(self, payload: bytes) -> None:
        self.payload, self.at = payload, 0

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.payload):
            raise Fault("malformed", len(self.payload), "message is cut off")
        part = self.payload[self.at:end]
        self.at = end
        return part

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        if self.at + layout.size > len(self.payload):
            raise Fault("malformed", len(self.payload), "message is cut off")
        fields = layout.unpack_from(self.payload, self.at)
        self.at += layout.size
        return fields

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "little")

    def zero(self, length: int) -> None:
        for i, c in enumerate(self.take(length)):
            if c:
                raise Fault("malformed", self.at - length + i, "reserved byte is not zero")

    def length(self, width: int, limit: int) -> int:
        value = self.number(width)
        if value > limit:
            raise Fault("malformed", self.at - width, "length is above its limit")
        return value

    def text(self, length: int) -> str:
        raw = self.take(length)
        if not is_text(raw):
            raise Fault("malformed", self.at - length + text_fault(raw), "text is not printable ASCII")
        return raw.decode("ascii")

    def head(self) -> Head:
        size, root = self.number(8), self.take(32)
        return Head(size, root, struct.unpack("<q", self.take(8))[0])

    def balance(self) -> Balance:
        length = self.length(1, 128)
        if length == 0:
            raise Fault("malformed", self.at - 1, "account name is empty")
        asset = self.take(8)
        check_asset(asset, self.at - 8)
        available, held = self.number(16), self.number(16)
        name = self.take(length)
        bad = name_fault(name)
        if bad >= 0:
            raise Fault("malformed", self.at - length + bad, "account name has a byte outside its alphabet")
        return Balance(name.decode("ascii"), asset.rstrip(b"\0").decode("ascii"), available, held)

    def result(self) -> Result:
        start = self.at
        index, outcome, reason, detail, offset, seq = _unpack_result(self)
        if outcome not in (1, 2):
            raise Fault("malformed", start + 4, "outcome is neither 1 nor 2")
        rejected = outcome == 2
        if rejected != (reason != 0):
            raise Fault("malformed", start + 5, "a rejected entry has a reason, and no other has")
        if rejected != (seq == 0):
            raise Fault("malformed", start + 12, "a duplicate has a sequence number, and no other has")
        if detail > 512:
            raise Fault("malformed", start + 6, "length is above its limit")
        return Result(index, "rejected" if rejected else "duplicate", reason_name(reason) if rejected else "", offset, seq, self.text(detail))

    def record(self, seq: int, time_ms: int) -> Record:
        start = self.at
        try:
            size = sized_entry(self.payload, start, len(self.payload))
            check_record(self.payload[start:start + size + STAMP_SIZE])
        except Fault as fault:
            raise Fault(fault.reason, fault.offset + start, fault.detail) from None
        raw = self.take(size + STAMP_SIZE)
        return Record(seq, time_ms, decode_entry(raw[:size]), raw[size:size + 16], raw[size + 16:], raw)

    def end(self) -> None:
        if self.at != len(self.payload):
            raise Fault("malformed", self.at, "bytes follow the message")


def _unpack_result(r: _Reader) -> tuple[int, ...]:
    return r.unpack(_RESULT)


def decode_ok(payload: bytes) -> None:
    _Reader(payload).end()


def decode_welcome(payload: bytes) -> Welcome:
    r = _Reader(payload)
    version = r.number(2)
    name, hash_name, profile, rights = r.length(1, 128), r.length(1, 16), r.length(1, 16), r.length(1, 64)
    key, token = r.length(2, 512), r.length(2, 4096)
    r.zero(2)
    max_frame, max_inflight, max_entries = r.number(4), r.number(4), r.number(4)
    log_id, epoch, head = r.take(16), r.number(8), r.head()
    return_value = Welcome(
        version, max_frame, max_inflight, max_entries, log_id, epoch, head, r.text(name), r.text(hash_name),
        r.text(profile), r.text(key), r.take(token), tuple([r.text(r.length(2, 4096)) for _ in range(rights)]),
    )
    r.end()
    return return_value


def decode_appended(payload: bytes) -> Appended:
    if len(payload) < _APPENDED.size:
        raise Fault("malformed", len(payload), "message is cut off")
    first, last, size, root, accepted, results, balances = _APPENDED.unpack_from(payload)
    if results == 0 and balances == 0 and len(payload) == _APPENDED.size:
        return Appended(first, last, size, root, accepted, (), ())
    r = _Reader(payload)
    r.at = _APPENDED.size
    rows: list[Result] = []
    while len(rows) < results:
        rows.append(r.result())
    amounts: list[Balance] = []
    while len(amounts) < balances:
        amounts.append(r.balance())
    r.end()
    return Appended(first, last, size, root, accepted, tuple(rows), tuple(amounts))


def decode_roots(payload: bytes) -> RootsAnswer:
    r = _Reader(payload)
    following, count, checkpoint = r.number(8), r.number(4), r.number(4)
    if count * _HEAD.size + checkpoint != len(payload) - r.at:
        raise Fault("malformed", 8, "counts do not agree with the length of the message")
    heads = tuple([r.head() for _ in range(count)])
    return RootsAnswer(following, heads, r.take(checkpoint))


def decode_entries(payload: bytes) -> EntriesAnswer:
    r = _Reader(payload)
    size, oldest, following, count = r.number(8), r.number(8), r.number(8), r.number(4)
    r.zero(4)
    rows: list[Record] = []
    while len(rows) < count:
        seq, time_ms = r.number(8), r.number(8)
        rows.append(r.record(seq, time_ms - (1 << 64) if time_ms >> 63 else time_ms))
    r.end()
    return EntriesAnswer(size, oldest, following, tuple(rows))


def decode_account(payload: bytes) -> AccountAnswer:
    r = _Reader(payload)
    size, root, flags = r.number(8), r.take(32), r.number(4)
    if flags & ~3:
        raise Fault("malformed", 40, "unknown flag is set")
    count = r.number(4)
    rows: list[Balance] = []
    while len(rows) < count:
        rows.append(r.balance())
    r.end()
    return AccountAnswer(size, root, bool(flags & 1), bool(flags & 2), tuple(rows))


def decode_proof(payload: bytes) -> Proof:
    r = _Reader(payload)
    flags, hashes = r.number(4), r.number(2)
    if flags & ~2:
        raise Fault("malformed", 0, "unknown flag is set")
    if hashes > 64:
        raise Fault("malformed", 4, "more hashes than a proof can have")
    consistency, record = bool(flags), r.length(2, 2072)
    seq, size, root, checkpoint = r.number(8), r.number(8), r.take(32), r.number(4)
    r.zero(4)
    if consistency != (record == 0):
        raise Fault("malformed", 6, "an inclusion proof has a record, and no other has")
    if seq > size:
        raise Fault("malformed", 8, "what is proven is not in a tree of that size")
    path = tuple([r.take(32) for _ in range(hashes)])
    raw = b""
    if record:
        start = r.at
        raw = r.record(seq, 0).raw
        if r.at - start != record:
            raise Fault("malformed", r.at, "bytes follow the record")
    if checkpoint != len(payload) - r.at:
        raise Fault("malformed", 56, "the length of the checkpoint does not agree with that of the message")
    return Proof(consistency, seq, size, root, path, raw, r.take(checkpoint))


def decode_watched(payload: bytes) -> Watched:
    r = _Reader(payload)
    told = Watched(r.number(8), r.head())
    r.end()
    return told


def decode_error(payload: bytes) -> ErrorAnswer:
    r = _Reader(payload)
    reason = r.number(1)
    if reason == 0:
        raise Fault("malformed", 0, "error has no reason")
    r.zero(1)
    detail, retry_after_ms, offset = r.length(2, 512), r.number(4), r.number(4)
    answer = ErrorAnswer(reason_name(reason), r.text(detail), retry_after_ms, offset)
    r.end()
    return answer
