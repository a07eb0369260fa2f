"""One connection's conversation without its I/O: bytes in, answers out. The blocking
and the asyncio client are two ways to move its bytes."""

from __future__ import annotations

from typing import NamedTuple, Union

from . import messages as m
from .codec import DEFAULT_MAX_FRAME, FLAG_MORE, frame, parse_header
from .errors import Fault, ProtocolError, ReasonError

HANDSHAKE_ID = 1


class Answer(NamedTuple):
    """A frame that answers a request; error stands in place of its payload."""

    request_id: int
    type: int
    payload: bytes
    more: bool
    error: Union[ReasonError, None]


class Conversation:
    def __init__(self, token: bytes) -> None:
        self.token = token
        self.welcome: Union[m.Welcome, None] = None
        self._max_frame = DEFAULT_MAX_FRAME
        self._id = HANDSHAKE_ID
        self._in = bytearray()

    def hello(self, name: str) -> bytes:
        return frame(m.HELLO, HANDSHAKE_ID, m.hello(self.token, name))

    def request(self, kind: int, payload: bytes) -> tuple[int, bytes]:
        """The id of a new request, and its frame."""
        self._id += 1
        return self._id, frame(kind, self._id, payload)

    def greeted(self, answer: Answer) -> m.Welcome:
        """Takes the answer to HELLO."""
        if answer.error:
            raise answer.error
        if answer.type != m.WELCOME or answer.request_id != HANDSHAKE_ID or answer.more:
            raise ProtocolError(f"frame {answer.type:#x} answers HELLO")
        try:
            self.welcome = m.decode_welcome(answer.payload)
        except Fault as fault:
            raise ProtocolError(f"decode WELCOME: {fault}") from fault
        if self.welcome.version != 1:
            raise ProtocolError(f"the server chose version {self.welcome.version}")
        self._max_frame = max(DEFAULT_MAX_FRAME, self.welcome.max_frame)
        return self.welcome

    def feed(self, data: Union[bytes, memoryview]) -> list[Answer]:
        """Takes bytes of the server and returns the answers that are whole now. Raises
        ReasonError for an ERROR that concerns the connection, ProtocolError for bytes
        that cannot be read: the connection has to be closed then."""
        self._in += data
        answers: list[Answer] = []
        buffer, at = self._in, 0
        try:
            while len(buffer) - at >= 16:
                header = parse_header(buffer, at, self._max_frame)
                end = at + 16 + header.length
                if end > len(buffer):
                    break
                answers.append(self._answer(header.type, header.flags, header.request_id, bytes(buffer[at + 16:end])))
                at = end
        except Fault as fault:
            raise ProtocolError(str(fault)) from fault
        if at:
            del buffer[:at]
        return answers

    def _answer(self, kind: int, flags: int, request_id: int, payload: bytes) -> Answer:
        if flags & 1:
            raise ProtocolError("a compressed answer to a client that never compresses")
        if kind != m.ERROR:
            return Answer(request_id, kind, payload, bool(flags & FLAG_MORE), None)
        e = m.decode_error(payload)
        error = ReasonError(e.reason, e.detail, e.offset, e.retry_after_ms / 1000)
        if request_id == 0:
            raise error
        return Answer(request_id, kind, b"", False, error)


def follow(told: m.Watched, since: int) -> int:
    """The size to watch from next: what is told has to begin right behind since, and to go beyond it."""
    if told.first != since + 1 or told.head.size <= since:
        raise ProtocolError(f"told of entries {told.first} to {told.head.size} behind {since}")
    return told.head.size


def expect(answer: Answer, kind: int) -> bytes:
    """The payload of an answer of that type."""
    if answer.error:
        raise answer.error
    if answer.type != kind:
        raise ProtocolError(f"frame {answer.type:#x} where {kind:#x} was expected")
    return answer.payload


def wants_new_token(error: BaseException) -> bool:
    """Whether another token could help."""
    return isinstance(error, ReasonError) and error.reason in ("unauth", "cap_invalid")


__all__ = ["Answer", "Conversation", "expect", "wants_new_token"]
