"""The asyncio client: any number of tasks share one connection, and a Batcher makes
batches of single entries."""

from __future__ import annotations

import asyncio
import socket
from types import TracebackType
from typing import AsyncIterator, Callable, Iterable, NamedTuple, TypeVar, Union

from . import messages as m
from .batch import AppendResult, Batch
from .codec import Entry, encode_entry
from .conversation import Answer, Conversation, expect, follow, wants_new_token
from .errors import (
    ClosedError, DisconnectedError, Fault, ForgottenError, LedgerError, LedgerReplacedError, OutcomeUnknownError, ProtocolError,
    ReasonError, retryable,
)
from .options import Backoff, Options

T = TypeVar("T")


class _Link(asyncio.Protocol):
    """A connection; what answers a request is handed to the future that waits for it."""

    def __init__(self, options: Options, token: bytes) -> None:
        self.conversation = Conversation(token)
        self.lost: Union[BaseException, None] = None
        self.calls: dict[int, "asyncio.Future[Answer]"] = {}
        self.parts: "asyncio.Queue[Union[Answer, BaseException]]" = asyncio.Queue()  # of a link with one request
        self.streaming = 0
        self._options = options
        self._transport: Union[asyncio.Transport, None] = None
        loop = asyncio.get_running_loop()
        self.greeting: "asyncio.Future[Answer]" = loop.create_future()
        self.calls[1] = self.greeting
        self.closed: "asyncio.Future[None]" = loop.create_future()
        self._writable = asyncio.Event()
        self._writable.set()
        self.slots = asyncio.Semaphore(1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for answer in self.conversation.feed(data):
                if answer.request_id == self.streaming:
                    self.parts.put_nowait(answer)
                    continue
                call = self.calls.pop(answer.request_id, None)
                if call is None:
                    raise ProtocolError(f"an answer to request {answer.request_id}, which is not under way")
                if not call.done():
                    call.set_result(answer)
        except LedgerError as error:
            self.fail(error)

    def connection_lost(self, exc: Union[Exception, None]) -> None:
        self.fail(exc or EOFError("the server closed the connection"))
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def fail(self, error: BaseException) -> None:
        if self.lost is None:
            self.lost = error
        self._writable.set()
        calls, self.calls = self.calls, {}
        for call in calls.values():
            if not call.done():
                call.set_exception(_Lost(str(self.lost), self.lost))
                call.exception()  # nobody may be left to look at it
        self.parts.put_nowait(self.lost)
        if self._transport:
            self._transport.abort()

    async def ready(self) -> m.Welcome:
        welcome = self.conversation.greeted(await self.greeting)
        self.slots = asyncio.Semaphore(min(self._options.max_inflight, welcome.max_inflight or 64))
        return welcome

    async def call(self, kind: int, payload: bytes) -> Answer:
        """Sends a request and returns its answer. A request whose caller is cancelled goes on."""
        async with self.slots:
            await self._writable.wait()
            future = self.post(kind, payload)
            return await asyncio.shield(future)

    def post(self, kind: int, payload: bytes) -> "asyncio.Future[Answer]":
        if self.lost is not None or self._transport is None:
            raise DisconnectedError(f"not sent: {self.lost}")
        request_id, frame = self.conversation.request(kind, payload)
        future: "asyncio.Future[Answer]" = asyncio.get_running_loop().create_future()
        self.calls[request_id] = future
        self._transport.write(frame)
        return future

    def stream(self, kind: int, payload: bytes) -> None:
        assert self._transport is not None
        self.streaming, frame = self.conversation.request(kind, payload)
        self._transport.write(frame)

    async def close(self, why: Union[BaseException, None] = None) -> None:
        """Ends the connection; those who wait are told why: by default, for good."""
        if self._transport:
            self.fail(why or ClosedError("client is closed"))
            await self.closed


class _Lost(LedgerError):
    """No answer will come to a request that was sent, or may have been."""

    def __init__(self, text: str, cause: BaseException) -> None:
        super().__init__(text)
        self.cause = cause


async def _connect(options: Options) -> _Link:
    loop = asyncio.get_running_loop()
    while True:
        token = options.read_token()
        link = _Link(options, token)
        try:
            async with _timeout(options.connect_timeout):
                await _greet(link, options)
                await link.ready()
            return link
        except BaseException as error:
            await link.close()
            cause = error.cause if isinstance(error, _Lost) else error
            if wants_new_token(cause) and options.token_file and options.read_token() != token:
                continue
            if isinstance(cause, (OSError, EOFError, asyncio.TimeoutError)):
                raise DisconnectedError(f"connect to {options.socket_path}: {cause or 'no answer in time'}") from error
            raise cause from None


async def _greet(link: _Link, options: Options) -> None:
    loop = asyncio.get_running_loop()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await loop.sock_connect(connection, options.socket_path)
        options.check_server(connection)
        try:
            await loop.sock_sendall(connection, link.conversation.hello(options.name))
        except BrokenPipeError:
            pass  # a server that turns a connection away says why before it closes
        await loop.create_unix_connection(lambda: link, sock=connection)
    except BaseException:
        connection.close()
        raise


class _timeout:
    """asyncio.timeout of Python 3.11, for 3.10 as well."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._expired = seconds, False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    async def __aexit__(self, kind: Union[type[BaseException], None], *_: object) -> None:
        self._handle.cancel()
        if self._expired and kind is asyncio.CancelledError:
            if hasattr(self._task, "uncancel"):
                self._task.uncancel()
            raise asyncio.TimeoutError


class AsyncClient:
    """A client of a ledger. `async with AsyncClient(path) as client`, or open and close.
    Any number of tasks may use it. Bound a call with asyncio.wait_for: an append that is
    cancelled may still be booked; the same Batch, appended again, tells."""

    def __init__(self, socket_path: str, **options: object) -> None:
        self.options = Options(socket_path, **options)  # type: ignore[arg-type]
        self._link: Union[_Link, None] = None
        self._dialing = asyncio.Lock()
        self._closed = False

    async def open(self) -> "AsyncClient":
        await self._live()
        return self

    async def __aenter__(self) -> "AsyncClient":
        return await self.open()

    async def __aexit__(self, *_: Union[type[BaseException], BaseException, TracebackType, None]) -> None:
        await self.close()

    async def close(self) -> None:
        self._closed = True
        if self._link:
            await self._link.close()

    @property
    def welcome(self) -> Union[m.Welcome, None]:
        """What the server said about itself when the newest connection was made."""
        return self._link.conversation.welcome if self._link else None

    async def _live(self) -> _Link:
        async with self._dialing:
            if self._closed:
                raise ClosedError("client is closed")
            if self._link is None or self._link.lost is not None:
                self._link = await _connect(self.options)
            return self._link

    async def _again(self, error: BaseException, link: Union[_Link, None], used: bytes, backoff: Backoff) -> bool:
        """Whether to try again after an error of a request that used a token."""
        cause = error.cause if isinstance(error, _Lost) else error
        if wants_new_token(cause):
            return await self._renew(link, used)
        again, after = retryable(cause)
        if not again and not isinstance(cause, (OSError, EOFError)):
            return False
        if link is not None and isinstance(cause, ReasonError) and cause.reason != "busy":
            await link.close(EOFError(f"given up: {cause}"))
        await asyncio.sleep(backoff.next(after))
        return not self._closed

    async def _renew(self, link: Union[_Link, None], used: bytes) -> bool:
        if link is None or not self.options.token_file:
            return False
        if link is not self._link or link.conversation.token != used:
            return True  # it was swapped since
        token = self.options.read_token()
        if not token or token == used:
            return False
        try:
            expect(await link.call(m.AUTH, m.auth(token)), m.OK)
            link.conversation.token = token
        except (DisconnectedError, _Lost):
            pass
        except ReasonError as error:
            return retryable(error)[0]
        return True

    async def append(
        self, entries: Union[Batch, Iterable[Entry]], *, atomic: bool = False, balances: bool = False, dry_run: bool = False,
    ) -> AppendResult:
        """Appends a batch and sends the same entries again, with pauses, as long as the
        server is busy, draining or out of reach. Safe because of the nonces."""
        batch = entries if isinstance(entries, Batch) else Batch(entries, atomic=atomic, balances=balances, dry_run=dry_run)
        backoff, resent = Backoff(), False
        while True:
            link: Union[_Link, None] = None
            used = b""
            try:
                link = await self._live()
                used = link.conversation.token
                welcome = link.conversation.welcome
                assert welcome is not None
                batch.check(welcome)
                if batch._tried_log not in (b"", welcome.log_id):
                    raise LedgerReplacedError("another ledger answers than the one that may have booked this")
                before, batch._tried_log = batch._tried_log, welcome.log_id
                try:
                    answer = await link.call(m.APPEND, batch.payload())
                except DisconnectedError:
                    batch._tried_log = before
                    raise
                if answer.error is not None and not resent:
                    batch._tried_log = b""
                result = AppendResult(m.decode_appended(expect(answer, m.APPENDED)), batch)
                result.resent, batch._tried_log = resent, b""
                return result
            except (OSError, EOFError, LedgerError) as error:
                resent = resent or isinstance(error, (_Lost, ProtocolError, Fault))
                if isinstance(error, (ProtocolError, Fault)) and link is not None:
                    await link.close(EOFError(f"given up: {error}"))
                if await self._again(error, link, used, backoff):
                    continue
                cause = error.cause if isinstance(error, _Lost) else error
                if batch._tried_log:
                    raise OutcomeUnknownError(batch, cause) from error
                raise cause from None

    async def _ask(self, kind: int, payload: bytes, decode: Callable[[bytes], T]) -> T:
        backoff = Backoff()
        while True:
            link: Union[_Link, None] = None
            used = b""
            try:
                link = await self._live()
                used = link.conversation.token
                return decode(expect(await link.call(kind, payload), kind + 1))
            except Fault as fault:
                raise ProtocolError(str(fault)) from fault
            except (OSError, EOFError, LedgerError) as error:
                if not await self._again(error, link, used, backoff):
                    raise error.cause if isinstance(error, _Lost) else error

    async def _stream(self, kind: int, payload: bytes, decode: Callable[[bytes], T]) -> AsyncIterator[T]:
        if self._closed:
            raise ClosedError("client is closed")
        link = await _connect(self.options)
        try:
            link.stream(kind, payload)
            more = True
            while more:
                part = await link.parts.get()
                if isinstance(part, BaseException):
                    raise part if isinstance(part, LedgerError) else DisconnectedError(str(part))
                more = part.more
                yield decode(expect(part, kind + 1))
        except Fault as fault:
            raise ProtocolError(str(fault)) from fault
        finally:
            await link.close()

    async def find(self, account: str, nonce: bytes) -> Union[m.Record, None]:
        """The record of an identity, or None."""
        answer = await self._ask(m.ENTRIES, m.entries_by_identity(account, nonce), m.decode_entries)
        return answer.records[0] if answer.records else None

    async def account(self, name: str) -> m.AccountAnswer:
        """What one account holds, as of everything that was answered to this client before."""
        return await self._ask(m.ACCOUNT, m.account(name), m.decode_account)

    async def accounts(self, prefix: str = "", after: str = "") -> AsyncIterator[m.Balance]:
        """What the accounts behind after hold that start with prefix, all as of one commit."""
        async for part in self._stream(m.ACCOUNT, m.listing(prefix, after), m.decode_account):
            for row in part.balances:
                yield row

    async def entries(self, first: int = 1, last: int = m.TO_HEAD) -> AsyncIterator[m.Record]:
        """The records first..last, in order."""
        while first and first <= last:
            following = 0
            async for part in self._stream(m.ENTRIES, m.entries_by_range(first, last), m.decode_entries):
                if first <= part.size and (part.oldest == 0 or part.oldest > first):
                    raise ForgottenError(first, part.oldest)
                for record in part.records:
                    yield record
                following = part.next
            first = following

    async def roots(self, since: int = 0, *, limit: int = 0, wait: float = 0.0) -> m.RootsAnswer:
        """The roots of the commits behind since."""
        return await self._ask(m.ROOTS, m.roots(since, limit, int(wait * 1000)), m.decode_roots)

    async def prove(self, seq: int, size: int = 0) -> m.Proof:
        """The record of an entry and its proof, unverified."""
        return await self._ask(m.PROVE, m.prove(seq, size), m.decode_proof)

    async def status(self) -> bytes:
        """The server's report about itself, a JSON object."""
        return await self._ask(m.STATUS, b"", bytes)

    async def watch(self, since: int = 0) -> AsyncIterator[m.Watched]:
        """Each new head behind the size since; goes on where it was when the connection breaks."""
        backoff = Backoff()
        while True:
            try:
                async for told in self._stream(m.WATCH, m.watch(since), m.decode_watched):
                    since = follow(told, since)
                    backoff.reset()
                    yield told
            except LedgerError as error:
                again, after = retryable(error)
                if not again:
                    raise
                await asyncio.sleep(backoff.next(after))


class Booked(NamedTuple):
    """What became of an entry that went through a Batcher."""

    seq: int
    duplicate: bool  # it was booked before, perhaps by a try of its own whose answer was lost


class RejectedError(LedgerError):
    """An entry was judged and not booked."""

    def __init__(self, reason: str, detail: str, offset: int) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail, self.offset = reason, detail, offset


class Batcher:
    """Makes batches of single entries: a batch is sent when it has size entries, or
    linger seconds after its first. At most inflight batches are under way; beyond that
    add waits. Batches under way at the same time may be committed in another order
    when one is refused as busy or the connection breaks; inflight=1 keeps the order."""

    def __init__(self, client: AsyncClient, *, size: int = 256, linger: float = 0.002, inflight: int = 16) -> None:
        self._client, self._size, self._linger = client, size, linger
        self._slots = asyncio.Semaphore(inflight)
        self._batch, self._futures = Batch(), list["asyncio.Future[Booked]"]()
        self._timer: Union[asyncio.TimerHandle, None] = None
        self._tasks: set["asyncio.Task[None]"] = set()

    async def __aenter__(self) -> "Batcher":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def add(
        self, kind: str, account: str, amount: int, counterparty: str = "", asset: str = "",
        nonce: Union[bytes, None] = None, ref: Union[bytes, None] = None, ts: Union[int, None] = None, memo: bytes = b"",
    ) -> "asyncio.Future[Booked]":
        """Takes an entry and returns the future of what becomes of it: Booked, or
        RejectedError, or what append raises."""
        raw = encode_entry(kind, account, amount, counterparty, asset, nonce, ref, ts, memo)
        if not self._futures:
            await self._slots.acquire()
            if not self._futures:
                self._timer = asyncio.get_running_loop().call_later(self._linger, self.flush)
            else:
                self._slots.release()
        future: "asyncio.Future[Booked]" = asyncio.get_running_loop().create_future()
        self._batch._put(raw)
        self._futures.append(future)
        if len(self._futures) >= self._size or self._batch.size > (1 << 19):
            self.flush()
        return future

    def flush(self) -> None:
        """Sends what has been added."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._futures:
            batch, futures = self._batch, self._futures
            self._batch, self._futures = Batch(), []
            task = asyncio.ensure_future(self._send(batch, futures))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, batch: Batch, futures: list["asyncio.Future[Booked]"]) -> None:
        try:
            result = await self._client.append(batch)
        except BaseException as error:
            for future in futures:
                if not future.done():
                    future.set_exception(error)
                    future.exception()
            if isinstance(error, asyncio.CancelledError):
                raise
            return
        finally:
            self._slots.release()
        for i, future in enumerate(futures):
            seq, told = result.outcome(i)
            if future.done():
                continue
            if told is None or told.outcome == "duplicate":
                future.set_result(Booked(seq, told is not None))
            else:
                future.set_exception(RejectedError(told.reason, told.detail, told.offset))
                future.exception()

    async def close(self) -> None:
        """Sends what is left and waits for all answers."""
        self.flush()
        while self._tasks:
            await asyncio.wait(self._tasks)


__all__ = ["AsyncClient", "Batcher", "Booked", "Entry", "RejectedError"]
