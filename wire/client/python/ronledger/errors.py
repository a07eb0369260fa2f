"""What can go wrong, as types. Every error of this package is a LedgerError."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .batch import Batch

REASONS = {
    1: "unauth", 2: "cap_invalid", 3: "unknown_kind", 4: "policy_denied", 5: "busy", 6: "too_large",
    7: "timeout", 8: "internal", 9: "malformed", 10: "conflict", 11: "insufficient_funds",
    12: "unbalanced", 13: "unknown_ref", 14: "already_reversed", 15: "overflow", 16: "safe_mode",
    17: "disk_pressure", 18: "draining",
}


def reason_name(number: int) -> str:
    """The name of a reason; one that a newer server has added is reason_N."""
    return REASONS.get(number, f"reason_{number}")


class LedgerError(Exception):
    """The base of all errors of this package."""


class Fault(LedgerError):
    """Bytes that the format does not allow: which byte, counted from the start of
    what was checked."""

    def __init__(self, reason: str, offset: int, detail: str) -> None:
        super().__init__(f"{reason} at byte {offset}: {detail}")
        self.reason, self.offset, self.detail = reason, offset, detail


class ReasonError(LedgerError):
    """The server refused a whole request, or the connection, or a batch is beyond
    what the server takes. Nothing of a refused append was booked."""

    def __init__(self, reason: str, detail: str = "", offset: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail, self.offset = reason, detail, offset
        self.retry_after = retry_after  # seconds; 0: not said


class DisconnectedError(LedgerError):
    """The request did not reach the server: nothing of it was booked."""


class ClosedError(LedgerError):
    """The client was closed."""


class ProtocolError(LedgerError):
    """The server sent what the protocol does not allow."""


class ServerIdentityError(LedgerError):
    """The process behind the socket is not run by an expected uid. Nothing was sent to it."""


class LedgerReplacedError(LedgerError):
    """Behind the socket is another ledger (another log id) than the one that may have
    booked an append: to send it again could book it a second time."""


class ForgottenError(LedgerError):
    """Records were asked for that the server no longer holds: a micronode keeps a window."""

    def __init__(self, first: int, oldest: int) -> None:
        super().__init__(f"entries from {first} are forgotten, the oldest that the server holds is {oldest}")
        self.first, self.oldest = first, oldest


class OutcomeUnknownError(LedgerError):
    """An append was sent, or may have been, and was not answered. Sending batch again
    is safe and tells what became of it."""

    def __init__(self, batch: "Batch", cause: BaseException) -> None:
        super().__init__(f"append of {len(batch)} entries: outcome unknown: {cause}")
        self.batch, self.cause = batch, cause


RETRYABLE = frozenset({"busy", "draining", "timeout"})


def retryable(error: BaseException) -> tuple[bool, float]:
    """Whether the same request can succeed later, and after how many seconds at least."""
    if isinstance(error, OutcomeUnknownError):
        again, after = retryable(error.cause)
        return again or isinstance(error.cause, (OSError, EOFError)), after
    if isinstance(error, ReasonError):
        return error.reason in RETRYABLE, error.retry_after
    return isinstance(error, DisconnectedError), 0.0
