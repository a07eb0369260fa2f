"""The entries of one append, encoded once, and what became of them."""

from __future__ import annotations

from bisect import bisect_left
from typing import Iterable, Iterator, Union

from .codec import Entry, check_entry, encode_entry
from .errors import ProtocolError, ReasonError
from .messages import Appended, Balance, Result, Welcome, append_payload

_ATOMIC, _BALANCES, _DRY_RUN = 1, 2, 4


class Batch:
    """The entries of one append. Its nonces are fixed when they are added, so that the
    same batch can be sent again without booking anything twice.

    atomic commits all entries next to each other, or none; idem_id is the identity of
    an atomic batch as a whole. balances asks for what the touched accounts hold
    afterwards; dry_run asks what would become of the entries, and books nothing."""

    __slots__ = ("atomic", "balances", "dry_run", "idem_id", "_parts", "_size", "_payload", "_tried_log")

    def __init__(
        self, entries: Iterable[Entry] = (), *, atomic: bool = False, balances: bool = False, dry_run: bool = False,
        idem_id: bytes = bytes(16),
    ) -> None:
        if len(idem_id) != 16:
            raise ValueError("idem_id is not 16 bytes")
        self.atomic, self.balances, self.dry_run, self.idem_id = atomic, balances, dry_run, idem_id
        self._parts: list[bytes] = []
        self._size = 24
        self._payload: Union[bytes, None] = None
        self._tried_log = b""  # the log id of the ledger that may have booked it
        for entry in entries:
            self.add(*entry)

    def add(
        self, kind: str, account: str, amount: int, counterparty: str = "", asset: str = "",
        nonce: Union[bytes, None] = None, ref: Union[bytes, None] = None, ts: Union[int, None] = None, memo: bytes = b"",
    ) -> int:
        """Encodes an entry and returns its index. Raises Fault; the batch is then as it was."""
        return self._put(encode_entry(kind, account, amount, counterparty, asset, nonce, ref, ts, memo))

    def add_raw(self, entry: bytes) -> int:
        """Adds an entry that is already encoded, after checking it."""
        check_entry(entry)
        return self._put(entry)

    def _put(self, entry: bytes) -> int:
        self._payload = None
        self._size += len(entry)
        self._parts.append(entry)
        return len(self._parts) - 1

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    @property
    def size(self) -> int:
        """The length of the payload in bytes."""
        return self._size

    def payload(self) -> bytes:
        """The APPEND as bytes."""
        if self._payload is None:
            flags = _ATOMIC * self.atomic | _BALANCES * self.balances | _DRY_RUN * self.dry_run
            self._payload = append_payload(flags, len(self._parts), self.idem_id, b"".join(self._parts))
        return self._payload

    def check(self, welcome: Welcome) -> None:
        """Raises ReasonError when the server would not take the batch."""
        if not self._parts:
            raise ReasonError("malformed", "batch has no entries")
        if any(self.idem_id) and not self.atomic:
            raise ReasonError("malformed", "idem_id is only for an atomic batch")
        if len(self._parts) > welcome.max_entries > 0:
            raise ReasonError("too_large", f"batch has {len(self)} entries, the server takes {welcome.max_entries}")
        if self._size > welcome.max_frame:
            raise ReasonError("too_large", f"batch has {self._size} bytes, the server takes {welcome.max_frame}")


class AppendResult:
    """What became of a batch. It means that what it counts as booked is durable and
    covered by root; after a dry run nothing is booked, and first and last are 0."""

    __slots__ = ("first", "last", "size", "root", "accepted", "results", "balances", "refused", "resent", "_indexes")

    def __init__(self, answer: Appended, batch: Batch) -> None:
        self.first, self.last, self.size, self.root = answer.first, answer.last, answer.size, answer.root
        self.accepted: int = answer.accepted
        self.results: tuple[Result, ...] = answer.results  # of entries that are not plainly new
        self.balances: tuple[Balance, ...] = answer.balances
        rejected = any(r.outcome == "rejected" for r in answer.results)
        self.refused: bool = batch.atomic and answer.accepted == 0 and rejected
        self.resent = False  # what is a duplicate may be this batch's own
        self._indexes = [r.index for r in answer.results]
        if not self.refused and answer.accepted + len(answer.results) != len(batch):
            raise ProtocolError(f"{answer.accepted} new entries and {len(answer.results)} results answer a batch of {len(batch)}")
        if any(a >= b for a, b in zip(self._indexes, self._indexes[1:])) or self._indexes and self._indexes[-1] >= len(batch):
            raise ProtocolError("the results of an APPENDED are out of order")

    def outcome(self, index: int) -> tuple[int, Union[Result, None]]:
        """The sequence number of an entry, and its result when it is not plainly new:
        then the number is that of the earlier entry, or 0 when the entry was rejected.
        0 and None: not booked, for the sake of others, or since it was a dry run."""
        before = bisect_left(self._indexes, index)
        if before < len(self._indexes) and self._indexes[before] == index:
            return self.results[before].seq, self.results[before]
        return (self.first + index - before if self.first else 0), None

    def __repr__(self) -> str:
        return f"<AppendResult accepted={self.accepted} first={self.first} last={self.last} results={len(self.results)}>"


