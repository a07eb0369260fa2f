"""The blocking client. One connection, made again when it breaks; safe to share between
threads, which then take turns."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from typing import Callable, Iterable, Iterator, TypeVar, Union

from . import messages as m
from .batch import AppendResult, Batch
from .codec import Entry
from .conversation import Answer, Conversation, expect, follow, wants_new_token
from .errors import (
    ClosedError, DisconnectedError, Fault, ForgottenError, LedgerReplacedError, LedgerError, OutcomeUnknownError, ProtocolError,
    ReasonError, retryable,
)
from .options import Backoff, Options

T = TypeVar("T")


class Link:
    """A connection that has said HELLO. Not for several threads."""

    def __init__(self, options: Options) -> None:
        self.conversation = Conversation(options.read_token())
        self._answers: dict[int, Answer] = {}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.settimeout(options.connect_timeout)
            self.socket.connect(options.socket_path)
            options.check_server(self.socket)
            try:
                self.socket.sendall(self.conversation.hello(options.name))
            except BrokenPipeError:
                pass  # a server that turns a connection away says why before it closes
            self.welcome = self.conversation.greeted(self._next(1))
        except BaseException:
            self.socket.close()
            raise

    def send(self, kind: int, payload: bytes, deadline: Union[float, None]) -> int:
        request_id, frame = self.conversation.request(kind, payload)
        self._limit(deadline)
        self.socket.sendall(frame)
        return request_id

    def _limit(self, deadline: Union[float, None]) -> None:
        if deadline is None:
            self.socket.settimeout(None)
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.socket.settimeout(left)

    def wait(self, request_id: int, deadline: Union[float, None]) -> Answer:
        """The answer to a request; those to others are kept for them."""
        self._limit(deadline)
        return self._next(request_id)

    def _next(self, request_id: int) -> Answer:
        while request_id not in self._answers:
            data = self.socket.recv(1 << 17)
            if not data:
                raise EOFError("the server closed the connection")
            for answer in self.conversation.feed(data):
                self._answers[answer.request_id] = answer
        return self._answers.pop(request_id)

    def parts(self, request_id: int, kind: int, deadline: Union[float, None]) -> Iterator[bytes]:
        """The payloads of an answer of several frames. This link has no other request."""
        more = True
        while more:
            self._limit(deadline)
            data = self.socket.recv(1 << 17)
            if not data:
                raise EOFError("the server closed the connection")
            for answer in self.conversation.feed(data):
                if answer.request_id != request_id:
                    raise ProtocolError(f"an answer to request {answer.request_id}, which was not made")
                more = answer.more
                yield expect(answer, kind)

    def close(self) -> None:
        self.socket.close()


def connect(options: Options) -> Link:
    """Connects and says HELLO. With a token file that was exchanged meanwhile it tries
    again with what the file now holds."""
    while True:
        token = options.read_token()
        try:
            return Link(options)
        except ReasonError as error:
            if not wants_new_token(error) or not options.token_file or options.read_token() == token:
                raise
        except (OSError, EOFError) as error:
            raise DisconnectedError(f"connect to {options.socket_path}: {error}") from error


class Client:
    """A client of a ledger. Use it as a context manager, or call close.

    Every method takes timeout, seconds for all of it, retries included; None: none."""

    def __init__(self, socket_path: str, **options: object) -> None:
        self.options = Options(socket_path, **options)  # type: ignore[arg-type]
        self._lock = threading.RLock()
        self._closed = False
        self._link: Union[Link, None] = connect(self.options)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._drop()

    @property
    def welcome(self) -> m.Welcome:
        """What the server said about itself and the rights, newest."""
        with self._lock:
            return self._live().welcome

    def _drop(self) -> None:
        if self._link:
            self._link.close()
            self._link = None

    def _live(self) -> Link:
        if self._closed:
            raise ClosedError("client is closed")
        if self._link is None:
            self._link = connect(self.options)
        return self._link

    # Appending

    def append(
        self, entries: Union[Batch, Iterable[Entry]], *, atomic: bool = False, balances: bool = False, dry_run: bool = False,
        timeout: Union[float, None] = None,
    ) -> AppendResult:
        """Appends a batch and sends the same entries again, with pauses, as long as the
        server is busy, draining or out of reach. Safe because of the nonces. Raises
        OutcomeUnknownError when it gives up and a try may have been booked."""
        if isinstance(entries, Batch):
            batch = entries
        else:
            batch = Batch(entries, atomic=atomic, balances=balances, dry_run=dry_run)
        for _, result in self.append_all([batch], window=1, timeout=timeout):
            return result
        raise AssertionError("unreachable")

    def append_all(
        self, batches: Iterable[Batch], *, window: int = 16, timeout: Union[float, None] = None,
    ) -> Iterator[tuple[Batch, AppendResult]]:
        """Appends batches with up to window of them under way, and yields each with its
        result, in their order, after retries as in append. They are committed in their
        order unless one is refused as busy, or the connection breaks; window=1 keeps
        the order always. timeout is for each batch that is waited for. Other threads
        wait until the iteration has ended."""
        with self._lock:
            pipeline = Pipeline(self, timeout)
            source = iter(batches)
            try:
                while True:
                    room = min(window, self.options.max_inflight, pipeline.max_inflight())
                    while len(pipeline.shipments) < room:
                        batch = next(source, None)
                        if batch is None:
                            break
                        pipeline.send(batch)
                    if not pipeline.shipments:
                        return
                    yield pipeline.settle()
            finally:
                if pipeline.shipments:
                    self._drop()  # what is under way has nobody who waits for it

    # Reading

    def _ask(self, kind: int, payload: bytes, decode: Callable[[bytes], T], timeout: Union[float, None], answer: int = 0) -> T:
        with self._lock:
            deadline = _deadline(timeout)
            backoff = Backoff()
            while True:
                used = b""
                try:
                    link = self._live()
                    used = link.conversation.token
                    payload_back = expect(link.wait(link.send(kind, payload, deadline), deadline), answer or kind + 1)
                    return decode(payload_back)
                except Fault as fault:
                    self._drop()
                    raise ProtocolError(str(fault)) from fault
                except (OSError, EOFError, LedgerError) as error:
                    if not self.recover(error, backoff, deadline, used):
                        raise

    def recover(self, error: BaseException, backoff: Backoff, deadline: Union[float, None], used: bytes) -> bool:
        """Whether to try again after an error of a request that used a token: after a
        pause, on a new connection or with a new token where that helps."""
        if isinstance(error, (OSError, EOFError)) or isinstance(error, ProtocolError):
            self._drop()
        if wants_new_token(error):
            return self._renew(deadline, used)
        again, after = retryable(error)
        if not again and not isinstance(error, (OSError, EOFError)):
            return False
        if isinstance(error, ReasonError) and error.reason != "busy":
            self._drop()
        pause = backoff.next(after)
        if deadline is not None and time.monotonic() + pause >= deadline:
            return False
        time.sleep(pause)
        return True

    def _renew(self, deadline: Union[float, None], used: bytes) -> bool:
        """Swaps the token of the connection for a newer one of the token file."""
        if self._link is None or not self.options.token_file:
            return False
        if self._link.conversation.token != used:
            return True  # it was swapped since
        token = self.options.read_token()
        if not token or token == used:
            return False
        try:
            expect(self._link.wait(self._link.send(m.AUTH, m.auth(token), deadline), deadline), m.OK)
        except (OSError, EOFError):
            self._drop()
        except ReasonError as error:
            return retryable(error)[0]
        else:
            self._link.conversation.token = token
        return True

    def _stream(self, kind: int, payload: bytes, decode: Callable[[bytes], T], deadline: Union[float, None] = None) -> Iterator[T]:
        """A request over a connection of its own, which ends with the loop."""
        if self._closed:
            raise ClosedError("client is closed")
        link = connect(self.options)
        try:
            for part in link.parts(link.send(kind, payload, deadline), kind + 1, deadline):
                yield decode(part)
        except Fault as fault:
            raise ProtocolError(str(fault)) from fault
        except (OSError, EOFError) as error:
            raise DisconnectedError(str(error)) from error
        finally:
            link.close()

    def find(self, account: str, nonce: bytes, *, timeout: Union[float, None] = None) -> Union[m.Record, None]:
        """The record of an identity, or None. A micronode does not find what it has forgotten."""
        answer = self._ask(m.ENTRIES, m.entries_by_identity(account, nonce), m.decode_entries, timeout)
        return answer.records[0] if answer.records else None

    def account(self, name: str, *, timeout: Union[float, None] = None) -> m.AccountAnswer:
        """What one account holds, as of everything that this client appended before."""
        return self._ask(m.ACCOUNT, m.account(name), m.decode_account, timeout)

    def accounts(self, prefix: str = "", after: str = "") -> Iterator[m.Balance]:
        """What the accounts behind after hold that start with prefix, all as of one commit."""
        for part in self._stream(m.ACCOUNT, m.listing(prefix, after), m.decode_account):
            yield from part.balances

    def entries(self, first: int = 1, last: int = m.TO_HEAD) -> Iterator[m.Record]:
        """The records first..last, in order. Raises ForgottenError when the server no
        longer holds the first."""
        while first and first <= last:
            following = 0
            for part in self._stream(m.ENTRIES, m.entries_by_range(first, last), m.decode_entries):
                if first <= part.size and (part.oldest == 0 or part.oldest > first):
                    raise ForgottenError(first, part.oldest)
                yield from part.records
                following = part.next
            first = following

    def roots(self, since: int = 0, *, limit: int = 0, wait: float = 0.0, timeout: Union[float, None] = None) -> m.RootsAnswer:
        """The roots of the commits behind since. Where there is none yet it waits for one."""
        return self._ask(m.ROOTS, m.roots(since, limit, int(wait * 1000)), m.decode_roots, timeout)

    def prove(self, seq: int, size: int = 0, *, timeout: Union[float, None] = None) -> m.Proof:
        """The record of an entry and the proof that it is in the tree of a size (0: of the
        newest checkpoint), unverified: the standard library has neither Ed25519 nor BLAKE3."""
        return self._ask(m.PROVE, m.prove(seq, size), m.decode_proof, timeout)

    def status(self, *, timeout: Union[float, None] = None) -> bytes:
        """The server's report about itself, a JSON object."""
        return self._ask(m.STATUS, b"", bytes, timeout)

    def watch(self, since: int = 0) -> Iterator[m.Watched]:
        """Each new head behind the size since, as soon as it is durable. When the
        connection breaks it goes on where it was."""
        backoff = Backoff()
        while True:
            try:
                for told in self._stream(m.WATCH, m.watch(since), m.decode_watched):
                    since = follow(told, since)
                    backoff.reset()
                    yield told
            except LedgerError as error:
                again, after = retryable(error)
                if not again:
                    raise
                time.sleep(backoff.next(after))


class Pipeline:
    """Batches under way, oldest first, with the request that carries each; 0: none does."""

    def __init__(self, client: Client, timeout: Union[float, None]) -> None:
        self.shipments: deque[tuple[Batch, int]] = deque()
        self._client, self._timeout = client, timeout
        self._link: Union[Link, None] = client._link  # over which the requests went
        self._backoff = Backoff()
        self._resent: set[int] = set()
        self._used: dict[int, bytes] = {}  # the token under which a request was sent

    def max_inflight(self) -> int:
        link = self._client._link
        return max(link.welcome.max_inflight, 1) if link else 1

    def send(self, batch: Batch) -> None:
        """Sends a batch where nothing stands in the way; otherwise settle does."""
        request = 0
        if self._link is not None and self._link is self._client._link and not (self.shipments and self.shipments[-1][1] == 0):
            try:
                request = self._submit(self._link, batch, _deadline(self._timeout))
            except (OSError, EOFError):
                self._lost()
            except LedgerError:
                pass  # told when it is the oldest, so that those before it are
        self.shipments.append((batch, request))

    def _submit(self, link: Link, batch: Batch, deadline: Union[float, None]) -> int:
        batch.check(link.welcome)
        if batch._tried_log not in (b"", link.welcome.log_id):
            raise LedgerReplacedError("another ledger answers than the one that may have booked this")
        batch._tried_log = link.welcome.log_id
        request = link.send(m.APPEND, batch.payload(), deadline)
        self._used[request] = link.conversation.token
        return request

    def _lost(self) -> None:
        self._client._drop()
        self._forget()

    def _forget(self) -> None:
        """No answers come any more to what was sent."""
        self._link = None
        self._used.clear()
        self._resent.update(id(batch) for batch, request in self.shipments if request)
        self.shipments = deque((batch, 0) for batch, _ in self.shipments)

    def settle(self) -> tuple[Batch, AppendResult]:
        """Waits for the oldest batch, whatever tries that takes."""
        deadline = _deadline(self._timeout)
        while True:
            batch, request = self.shipments[0]
            try:
                link = self._client._live()
                if link is not self._link:
                    self._forget()
                    self._link, request = link, 0
                if request == 0:
                    request = self._submit(link, batch, deadline)
                    self.shipments[0] = (batch, request)
                    self._follow(link, deadline)
                answer = link.wait(request, deadline)
                if answer.error is not None and id(batch) not in self._resent:
                    batch._tried_log = b""  # refused as a whole: nothing of it is booked
                result = AppendResult(m.decode_appended(expect(answer, m.APPENDED)), batch)
            except Fault as fault:
                self._fail(ProtocolError(str(fault)), deadline)
            except (OSError, EOFError, LedgerError) as error:
                self._fail(error, deadline)
            else:
                self.shipments.popleft()
                self._used.pop(request, None)
                result.resent = id(batch) in self._resent
                self._resent.discard(id(batch))
                batch._tried_log = b""
                self._backoff.reset()
                return batch, result

    def _follow(self, link: Link, deadline: Union[float, None]) -> None:
        for i in range(1, len(self.shipments)):
            batch, request = self.shipments[i]
            if request == 0:
                self.shipments[i] = (batch, self._submit(link, batch, deadline))

    def _fail(self, error: BaseException, deadline: Union[float, None]) -> None:
        """Makes the oldest batch ready for another try, or raises."""
        batch, request = self.shipments[0]
        used = self._used.pop(request, b"")
        if isinstance(error, (OSError, EOFError, ProtocolError)):
            self._lost()
        elif request:
            self.shipments[0] = (batch, 0)
        again = self._client.recover(error, self._backoff, deadline, used)
        if self._client._link is None:
            self._forget()
        if again:
            return
        if id(batch) in self._resent or batch._tried_log:
            raise OutcomeUnknownError(batch, error) from error
        if isinstance(error, (OSError, EOFError)):
            raise DisconnectedError(str(error)) from error
        raise error


def _deadline(timeout: Union[float, None]) -> Union[float, None]:
    return None if timeout is None else time.monotonic() + timeout
