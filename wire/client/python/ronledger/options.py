"""Where the server is, who is calling, who has to answer, and how long to pause."""

from __future__ import annotations

import base64
import binascii
import random
import socket
import struct
from dataclasses import dataclass
from typing import Callable, Iterable, Union

from .errors import LedgerError, ServerIdentityError

BACKOFF_MIN, BACKOFF_MAX = 0.05, 2.0  # seconds


@dataclass(frozen=True)
class Options:
    """socket_path: the Unix-domain socket of the server.

    token: a token as text (rl1_…); or token_file: a file that holds one, read at every
    connect and again when the server refuses the token, so that it can be exchanged
    under a running application. With neither, the server may hand one to a peer of its
    own uid.

    server_uids: the uids that may run the server, checked (SO_PEERCRED) before anything
    is sent; None: no check, the folder of the socket is trusted.

    connect_timeout: seconds for connecting and the handshake."""

    socket_path: str
    token: str = ""
    token_file: str = ""
    name: str = ""
    server_uids: Union[Iterable[int], None] = None
    connect_timeout: float = 5.0
    max_inflight: int = 64

    def __post_init__(self) -> None:
        if self.token and self.token_file:
            raise ValueError("token and token_file exclude each other")
        if len(self.name) > 64 or not all(" " <= c <= "~" for c in self.name):
            raise ValueError("name is at most 64 bytes of printable ASCII")

    def read_token(self) -> bytes:
        """The token as bytes, empty for none. No error repeats any of it."""
        text = self.token
        if self.token_file:
            try:
                with open(self.token_file, encoding="ascii", errors="replace") as file:
                    text = file.read(8192)
            except FileNotFoundError:
                return b""
        return parse_token(text) if text.strip() else b""

    def check_server(self, connection: socket.socket) -> None:
        """Raises ServerIdentityError unless an expected uid runs the server."""
        if self.server_uids is None:
            return
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid = struct.unpack("=iII", raw)[1]
        allowed = tuple(self.server_uids)
        if uid not in allowed:
            raise ServerIdentityError(f"the server runs as uid {uid}, expected one of {allowed}")


def parse_token(text: str) -> bytes:
    """The bytes of a token that is written as text."""
    text = text.strip()
    if not text.startswith("rl1_"):
        raise LedgerError("a token starts with rl1_")
    encoded = text[4:]
    try:
        token = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        token = b""
    if not 0 < len(token) <= 4096:
        raise LedgerError("what follows rl1_ is not base64url of 1 to 4096 bytes")
    return token


class Backoff:
    """The pauses between tries: each twice as long as the one before, of which a random
    half is left out so that many clients do not come back at once."""

    def __init__(self, rand: Callable[[], float] = random.random) -> None:
        self._pause, self._rand = 0.0, rand

    def next(self, at_least: float = 0.0) -> float:
        self._pause = min(max(2 * self._pause, BACKOFF_MIN), BACKOFF_MAX)
        return max(self._pause / 2 * (1 + self._rand()), at_least)

    def reset(self) -> None:
        self._pause = 0.0
