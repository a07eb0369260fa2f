"""A client of ron-ledger: Client blocks, AsyncClient and Batcher are for asyncio.

    from ronledger import Client, Entry

    with Client("/run/ledger/ledger.sock", token_file="/run/ledger/token", name="shop") as ledger:
        result = ledger.append([Entry("Transfer", "acct/a", 250, "acct/b", asset="EUR")], timeout=10)
        seq, refused = result.outcome(0)

An answer means that what it counts as booked is durable. append sends the same entries
again as long as the server is busy or out of reach, which is safe because of the nonces;
OutcomeUnknownError says that it gave up in between."""

from .aio import AsyncClient, Batcher, Booked, RejectedError
from .batch import AppendResult, Batch
from .blocking import Client
from .codec import Entry, uuid7, uuid7_block
from .errors import (
    ClosedError, DisconnectedError, Fault, ForgottenError, LedgerError, LedgerReplacedError, OutcomeUnknownError, ProtocolError,
    ReasonError, ServerIdentityError,
)
from .messages import AccountAnswer, Balance, Head, Proof, Record, Result, RootsAnswer, Watched, Welcome
from .options import Options

__all__ = [
    "AccountAnswer", "AppendResult", "AsyncClient", "Balance", "Batch", "Batcher", "Booked", "Client", "ClosedError",
    "DisconnectedError", "Entry", "Fault", "ForgottenError", "Head", "LedgerError", "LedgerReplacedError", "Options",
    "OutcomeUnknownError", "Proof", "ProtocolError", "ReasonError", "Record", "RejectedError", "Result", "RootsAnswer",
    "ServerIdentityError", "Watched", "Welcome", "uuid7", "uuid7_block",
]
