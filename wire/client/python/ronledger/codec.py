"""Entries, frames and their checks as bytes. No I/O. Offsets and rules are those of
docs/PROTOCOL.md, sections 2 and 4."""

from __future__ import annotations

import os
import re
import struct
import time
from typing import NamedTuple, Union

from .errors import Fault

KINDS = {
    "Credit": 1, "Debit": 2, "Transfer": 3, "Mint": 4, "Burn": 5, "Hold": 6, "Reverse": 7, "Release": 8, "Capture": 9,
}
KIND_NAMES = {number: name for name, number in KINDS.items()} | {240: "Epoch"}
HAS_COUNTERPARTY = frozenset({3, 9})
HAS_REF = frozenset({7, 8, 9, 240})

DEFAULT_MAX_FRAME = 1 << 20
FRAME_HEADER = struct.Struct("<IBBHQ")  # length, type, flags, zero, request id
ENTRY_HEADER = struct.Struct("<HBBBBHq16s16s16s8s")
FLAG_MORE = 2
STAMP_SIZE = 24
NO_REF = bytes(16)
PADDING = tuple(bytes(n) for n in range(8))

_NAME = re.compile(rb"[A-Za-z0-9:/\-_.@]*")
_ASSET = re.compile(rb"[A-Z0-9.\-]*")
_TEXT = re.compile(rb"[\x20-\x7e]*")

# Names and assets repeat, so their checked bytes are kept, at most so many.
_KEPT = 65_536
_names: dict[str, bytes] = {}
_assets: dict[str, bytes] = {}


class Entry(NamedTuple):
    """One movement. amount counts smallest units; ts is Unix milliseconds (None: now);
    nonce, 16 bytes, is made where it is None: keep it, and repeat the entry with it."""

    kind: str
    account: str
    amount: int
    counterparty: str = ""
    asset: str = ""
    nonce: Union[bytes, None] = None
    ref: Union[bytes, None] = None
    ts: Union[int, None] = None
    memo: bytes = b""


def uuid7() -> bytes:
    """A new nonce: a UUIDv7 in the order of its hex digits."""
    return uuid7_block(1)


def uuid7_block(count: int) -> bytes:
    """count nonces of 16 bytes, back to back, made with one call to the system."""
    stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big")
    random = bytearray(os.urandom(10 * count))
    for at in range(0, len(random), 10):
        random[at] = random[at] & 0x0F | 0x70
        random[at + 2] = random[at + 2] & 0x3F | 0x80
    return b"".join([stamp + random[at:at + 10] for at in range(0, len(random), 10)])


def _name(text: str, offset: int) -> bytes:
    raw = text.encode("utf-8")
    if len(raw) > 128:
        raise Fault("malformed", offset, "name is longer than 128 bytes")
    if not _NAME.fullmatch(raw):
        raise Fault("malformed", 72, f"name {text!r} has a byte outside A-Z a-z 0-9 : / - _ . @")
    if len(_names) >= _KEPT:
        _names.clear()
    _names[text] = raw
    return raw


def _asset(text: str) -> bytes:
    raw = text.encode("utf-8")
    if len(raw) > 8 or not _ASSET.fullmatch(raw):
        raise Fault("malformed", 64, f"asset {text!r} is not up to 8 of A-Z 0-9 . -")
    if len(_assets) >= _KEPT:
        _assets.clear()
    _assets[text] = raw
    return raw


def encode_entry(
    kind: str, account: str, amount: int, counterparty: str = "", asset: str = "", nonce: Union[bytes, None] = None,
    ref: Union[bytes, None] = None, ts: Union[int, None] = None, memo: bytes = b"",
) -> bytes:
    """The bytes of an entry. Raises Fault when they would not be one."""
    number = KINDS.get(kind)
    if number is None:
        raise Fault("unknown_kind", 3, f"kind {kind!r} is none that a client can send")
    name = _names.get(account) or _name(account, 4)
    other = b""
    if counterparty:
        other = _names.get(counterparty) or _name(counterparty, 5)
    if not name:
        raise Fault("malformed", 4, "account name is empty")
    if (number in HAS_COUNTERPARTY) != bool(other):
        raise Fault("malformed", 5, f"a {kind} has {'a' if not other else 'no'} counterparty")
    if len(memo) > 1024:
        raise Fault("malformed", 6, "memo is longer than 1024 bytes")
    if not 0 < amount < 1 << 128:
        raise Fault("malformed", 32, "amount is not 1 to 2^128-1")
    if ref is None:
        ref = NO_REF
    elif number not in HAS_REF or len(ref) != 16:
        raise Fault("malformed", 48, "this kind has no ref, or ref is not 16 bytes")
    if nonce is None:
        nonce = uuid7()
    elif len(nonce) != 16:
        raise Fault("malformed", 16, "nonce is not 16 bytes")
    if ts is None:
        ts = time.time_ns() // 1_000_000
    raw_asset = _assets.get(asset)
    if raw_asset is None:
        raw_asset = _asset(asset)
    used = 72 + len(name) + len(other) + len(memo)
    size = (used + 7) & ~7
    return b"".join((
        ENTRY_HEADER.pack(size, 1, number, len(name), len(other), len(memo), ts, nonce,
                          amount.to_bytes(16, "little"), ref, raw_asset),
        name, other, memo, PADDING[size - used],
    ))


def sized_entry(b: bytes, at: int, end: int) -> int:
    """The size of the entry that starts at. Raises Fault, with the offset from at."""
    if end - at < 72:
        raise Fault("malformed", end - at, "entry is cut off: fewer than 72 bytes are left")
    size = b[at] | b[at + 1] << 8
    if size < 80:
        raise Fault("malformed", 0, "entry size is below 80 bytes")
    if size > 2048:
        raise Fault("too_large", 0, "entry size is above 2048 bytes")
    if size % 8:
        raise Fault("malformed", 0, "entry size is not a multiple of 8")
    if size > end - at:
        raise Fault("malformed", 0, "entry size is beyond the end of the data")
    return size


def check_asset(b: bytes, offset: int) -> None:
    """Raises Fault at the first of 8 bytes that no asset has there. A zero ends the
    name; all zero is the unnamed unit, and no other name is empty."""
    name = b.rstrip(b"\0")
    if _ASSET.fullmatch(name):
        return
    good = _ASSET.match(b)
    at = good.end() if good else 0
    if at > 0 and b[at] == 0:  # a byte behind the padding
        at = next(i for i in range(at, 8) if b[i])
    raise Fault("malformed", offset + at, "asset has a byte outside A-Z 0-9 . - or one behind its padding")


def check_entry(b: bytes, *, from_client: bool = True) -> None:
    """Raises Fault unless b is exactly one entry. The server alone writes Epoch."""
    size = sized_entry(b, 0, len(b))
    _check_sized(b[:size], from_client)
    if size != len(b):
        raise Fault("malformed", size, "bytes follow the entry")


def _check_sized(e: bytes, from_client: bool) -> None:
    _, version, kind, account, other, memo, _, _, amount, ref, asset = ENTRY_HEADER.unpack_from(e)
    if version != 1:
        raise Fault("malformed", 2, "entry version is not 1")
    if kind not in KIND_NAMES or from_client and kind == 240:
        raise Fault("unknown_kind", 3, "kind is none that is known here")
    if not 1 <= account <= 128:
        raise Fault("malformed", 4, "account name is not 1 to 128 bytes")
    if (kind in HAS_COUNTERPARTY) != (other > 0) or other > 128:
        raise Fault("malformed", 5, "counterparty does not fit the kind")
    if memo > 1024:
        raise Fault("malformed", 6, "memo is longer than 1024 bytes")
    if amount == NO_REF:
        raise Fault("malformed", 32, "amount is zero")
    if kind not in HAS_REF and ref != NO_REF:
        raise Fault("malformed", 48, "this kind has no ref")
    check_asset(asset, 64)
    names, used = 72 + account + other, 72 + account + other + memo
    if len(e) != (used + 7) & ~7:
        raise Fault("malformed", 0, "entry size does not follow from the lengths in it")
    good = _NAME.match(e, 72, names)
    if good is None or good.end() != names:
        raise Fault("malformed", good.end() if good else 72, "name has a byte outside A-Z a-z 0-9 : / - _ . @")
    for i in range(used, len(e)):
        if e[i]:
            raise Fault("malformed", i, "padding is not zero")
    if kind == 240:
        _check_epoch(e)


def _check_epoch(e: bytes) -> None:
    said = decode_entry(e)
    wrong = (
        (said.account != "epoch", 4, "the account of an Epoch is epoch"),
        (not 48 <= len(said.memo) <= 304, 6, "the memo of an Epoch has 48 to 304 bytes"),
        (said.nonce == NO_REF, 16, "the log id is zero"),
        (said.amount >> 64 != 0, 40, "the number of an epoch is above 2^64-1"),
        (said.ref == said.nonce, 48, "the old log id is the new one"),
        (said.asset != "", 64, "an Epoch has no asset"),
    )
    for is_wrong, offset, detail in wrong:
        if is_wrong:
            raise Fault("malformed", offset, detail)
    if not is_text(said.memo[48:]):
        raise Fault("malformed", 72 + 5 + 48 + text_fault(said.memo[48:]), "the reason is not printable ASCII")


def check_record(b: bytes) -> None:
    """Raises Fault unless b is exactly one record: an entry and its stamp."""
    size = sized_entry(b, 0, len(b))
    check_entry(b[:size], from_client=False)
    if len(b) < size + STAMP_SIZE:
        raise Fault("malformed", len(b), "stamp is cut off")
    if b[3] == 240 and any(b[size:size + STAMP_SIZE]):
        raise Fault("malformed", size, "the stamp of an Epoch is not zero")
    if len(b) > size + STAMP_SIZE:
        raise Fault("malformed", size + STAMP_SIZE, "bytes follow the record")


def decode_entry(e: bytes) -> Entry:
    """The fields of an entry that was checked."""
    _, _, kind, account, other, memo, ts, nonce, amount, ref, asset = ENTRY_HEADER.unpack_from(e)
    counter, text = 72 + account, 72 + account + other
    return Entry(
        KIND_NAMES[kind], e[72:counter].decode("ascii"), int.from_bytes(amount, "little"), e[counter:text].decode("ascii"),
        asset.rstrip(b"\0").decode("ascii"), nonce, ref if kind in HAS_REF else None, ts, e[text:text + memo],
    )


def frame(kind: int, request_id: int, payload: bytes) -> bytes:
    """A frame: its header and payload."""
    return FRAME_HEADER.pack(len(payload), kind, 0, 0, request_id) + payload


class FrameHeader(NamedTuple):
    length: int
    type: int
    flags: int
    request_id: int


def parse_header(b: Union[bytes, bytearray, memoryview], at: int, max_frame: int) -> FrameHeader:
    """The header that starts at. Raises Fault."""
    length, kind, flags, zero, request_id = FRAME_HEADER.unpack_from(b, at)
    if flags & ~3:
        raise Fault("malformed", 5, "unknown flag is set")
    if zero:
        raise Fault("malformed", 6 if zero & 0xFF else 7, "reserved byte is not zero")
    if length > max_frame:
        raise Fault("too_large", 0, "frame is longer than the limit")
    return FrameHeader(length, kind, flags, request_id)


def is_text(b: bytes) -> bool:
    """Whether all bytes are printable ASCII."""
    return _TEXT.fullmatch(b) is not None


def text_fault(b: bytes) -> int:
    """The index of the first byte that is not printable ASCII."""
    good = _TEXT.match(b)
    return good.end() if good else 0


def name_fault(b: bytes) -> int:
    """The index of the first byte that no name has, or -1."""
    good = _NAME.match(b)
    end = good.end() if good else 0
    return -1 if end == len(b) else end
