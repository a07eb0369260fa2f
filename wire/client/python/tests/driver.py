"""Lets a test in another language drive this client: one JSON object a line on standard
input says what to do, one a line on standard output what came of it. The Node client has
the same, so that both are held to one script (sidecar/sidecartest/clients_test.go)."""

import asyncio
import base64
import json
import pathlib
import random
import sys
import threading
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import ronledger as r  # noqa: E402
from ronledger import blocking, messages as m  # noqa: E402
from ronledger.conversation import expect  # noqa: E402


def sixteen(text):
    if len(text) == 36:
        return uuid.UUID(text).bytes
    if len(text) == 32:
        return bytes.fromhex(text)
    return base64.b64decode(text.rstrip("=") + "==", altchars=b"-_" if "-" in text or "_" in text else None)


def entry_of(e):
    memo = base64.b64decode(e["memo_base64"]) if "memo_base64" in e else e.get("memo", "").encode()
    return r.Entry(e["kind"], e["account"], int(e["amount"]), e.get("counterparty", ""), e.get("asset", ""), sixteen(e["nonce"]),
                   sixteen(e["ref"]) if "ref" in e else None, e["ts"], memo)


def batch_of(q):
    return r.Batch(map(entry_of, q.get("entries", ())), atomic=q.get("atomic", False), balances=q.get("balances", False),
                   dry_run=q.get("dry_run", False), idem_id=sixteen(q["idem_id"]) if "idem_id" in q else bytes(16))


def balance(b):
    return {"account": b.account, "asset": b.asset, "available": str(b.available), "held": str(b.held)}


def answer(a):
    return {
        "first": a.first, "last": a.last, "size": a.size, "accepted": a.accepted, "root": {"": a.root.hex()},
        "results": [{"index": x.index, "outcome": x.outcome, "reason": x.reason, "offset": x.offset, "seq": x.seq, "detail": x.detail}
                    for x in a.results],
        "balances": [balance(b) for b in a.balances],
    }


class Blocking:
    """What the script asks of a client, asked of Client."""

    def connect(self, q):
        self.options = {"token_file": q["token_file"], "name": "driver", "server_uids": q.get("server_uids")}
        self.socket = q["socket"]
        self.client = r.Client(self.socket, **self.options)
        w = self.client.welcome
        return {"rights": list(w.rights), "profile": w.profile, "hash": w.hash}

    def append(self, q):
        if "hex" in q["request"]:
            return self.raw(q["request"]["hex"])
        result = self.client.append(batch_of(q["request"]), timeout=q.get("timeout", 30))
        return {"answer": answer(result), "resent": result.resent}

    def raw(self, entries):
        link = blocking.connect(self.client.options)
        try:
            payload = m.append_payload(0, len(entries), bytes(16), bytes.fromhex("".join(entries)))
            return {"answer": answer(m.decode_appended(expect(link.wait(link.send(m.APPEND, payload, None), None), m.APPENDED)))}
        finally:
            link.close()

    def find(self, q):
        record = self.client.find(q["account"], sixteen(q["nonce"]), timeout=30)
        return {"seq": record.seq if record else 0}

    def account(self, q):
        a = self.client.account(q["account"], timeout=30)
        return {"known": a.known, "balances": [balance(b) for b in a.balances]}

    def accounts(self, q):
        return {"balances": [balance(b) for b in self.client.accounts(q["prefix"], q["after"])]}

    def entries(self, q):
        return {"entries": [{"seq": e.seq, "account": e.entry.account, "amount": str(e.entry.amount)}
                            for e in self.client.entries(q["from"], q["to"] or m.TO_HEAD)]}

    def roots(self, q):
        found = self.client.roots(q["from"], wait=q.get("wait", 0), timeout=30)
        return {"sizes": [h.size for h in found.roots], "next": found.next}

    def watch(self, q):
        sizes = []
        for told in self.client.watch(q["from"]):
            sizes.append(told.head.size)
            if told.head.size >= q["to"]:
                return {"sizes": sizes}

    def status(self, _):
        return {"ready": json.loads(self.client.status(timeout=30))["ready"]}

    def prove(self, q):
        p = self.client.prove(q["seq"], timeout=30)
        return {"seq": p.seq, "hashes": len(p.hashes), "size": p.size}

    def close(self, _):
        self.client.close()
        return {}

    def bench(self, q):
        """Batches of 256, made, sent and told apart, for so many seconds."""
        memo, accounts = b"invoice".ljust(100, b"."), [f"bank/account/{i:06}" for i in range(1000)]

        def batches():
            while time.perf_counter() < end:
                batch, nonces, ts = r.Batch(), r.uuid7_block(256), time.time_ns() // 1_000_000
                add = batch.add
                for i in range(256):
                    add("Mint", accounts[i], 1, "", "EUR", nonces[16 * i:16 * i + 16], None, ts, memo)
                yield batch

        booked, began, cpu = 0, time.perf_counter(), time.process_time()
        end = began + q["seconds"]
        for batch, result in self.client.append_all(batches()):
            booked += sum(1 for i in range(len(batch)) if result.outcome(i)[0])
        return {"bench": {"entries": booked, "seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}}

    def torture(self, q):
        self.load = Load(q)
        self.thread = threading.Thread(target=self.load.run_blocking)
        self.thread.start()
        return {}

    def stop(self, _):
        self.load.stopping = True
        self.thread.join()
        return {"beliefs": self.load.beliefs()}


class Asyncio(Blocking):
    """The same, asked of AsyncClient."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def wait(self, coroutine, timeout=30):
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, timeout), self.loop).result()

    def connect(self, q):
        self.options = {"token_file": q["token_file"], "name": "driver", "server_uids": q.get("server_uids")}
        self.socket = q["socket"]

        async def open_it():
            return await r.AsyncClient(self.socket, **self.options).open()

        self.client = _Waited(self, self.wait(open_it()))
        w = self.client.welcome
        return {"rights": list(w.rights), "profile": w.profile, "hash": w.hash}

    def torture(self, q):
        self.load = Load(q)
        self.task = asyncio.run_coroutine_threadsafe(self.load.run_asyncio(), self.loop)
        return {}

    def stop(self, _):
        self.load.stopping = True
        self.task.result()
        return {"beliefs": self.load.beliefs()}


class _Waited:
    """An AsyncClient whose methods wait, so that one driver asks both clients."""

    def __init__(self, driver, client):
        self.driver, self.client = driver, client

    def __getattr__(self, name):
        attribute = getattr(self.client, name)
        if name in ("options", "welcome"):
            return attribute
        if name in ("accounts", "entries", "watch"):
            return lambda *a: self.iterate(attribute(*a))
        return lambda *a, timeout=30, **k: self.driver.wait(attribute(*a, **k), timeout)

    def iterate(self, generator):
        while True:
            try:
                yield self.driver.wait(generator.__anext__())
            except StopAsyncIteration:
                return


class Noted(r.Batch):
    """A batch that knows its nonces."""

    def __init__(self, **options):
        super().__init__(**options)
        self.nonces = []


class Load:
    """Entries until it is told to stop, and what it believes became of each."""

    def __init__(self, q):
        self.socket, self.options, self.prefix = q["socket"], {"token_file": q["token_file"], "name": q["prefix"]}, q["prefix"]
        self.random = random.Random(q["seed"])
        self.stopping = False
        self.booked, self.rejected, self.unknown = {}, [], []
        self.unknowns_met = self.resent = 0

    def beliefs(self):
        return {"booked": self.booked, "rejected": self.rejected, "unknown": len(self.unknown),
                "unknowns_met": self.unknowns_met, "resent": self.resent}

    def batch(self, first=False):
        """A batch. Poor never has money, rich always has enough."""
        if first:
            entries = [("Mint", f"{self.prefix}/rich", 1 << 60)]
        else:
            atomic = self.random.random() < 0.2
            kinds = (("Mint", f"{self.prefix}/a", 5), ("Transfer", f"{self.prefix}/rich", 1, f"{self.prefix}/b"), ("Burn", f"{self.prefix}/poor", 1))
            entries = [self.random.choice(kinds[:2] if atomic else kinds) for _ in range(self.random.randint(1, 40))]
        batch = Noted(atomic=not first and atomic)
        for entry in entries:
            batch.nonces.append(r.uuid7())
            batch.add(*entry, nonce=batch.nonces[-1])
        return batch

    def note(self, batch, result):
        self.resent += result.resent
        for i, nonce in enumerate(batch.nonces):
            seq, told = result.outcome(i)
            if seq:
                self.booked[nonce.hex()] = seq
            else:
                assert told is not None and told.outcome == "rejected", (seq, told)
                self.rejected.append(nonce.hex())

    def run_blocking(self):
        with self.reach() as client:
            first = self.batch(first=True)
            self.note(first, client.append(first))
            while not self.stopping or self.unknown:
                batches = self.unknown[:4] if self.unknown else [self.batch() for _ in range(self.random.randint(1, 6))]
                left = list(batches)
                try:
                    for batch, result in client.append_all(batches, window=4, timeout=None if self.stopping else self.random.uniform(0.01, 1)):
                        left.remove(batch)
                        if batch in self.unknown:
                            self.unknown.remove(batch)
                        self.note(batch, result)
                except r.LedgerError as error:
                    passes = getattr(error, "reason", "") in ("busy", "draining", "timeout")
                    if not passes and not isinstance(error, (r.OutcomeUnknownError, r.DisconnectedError)):
                        raise
                    self.unknowns_met += isinstance(error, r.OutcomeUnknownError)
                self.unknown += [batch for batch in left if batch not in self.unknown]
                time.sleep(0.005)

    def reach(self):
        while True:
            try:
                return r.Client(self.socket, **self.options)
            except r.DisconnectedError:
                time.sleep(0.02)

    async def run_asyncio(self):
        client = r.AsyncClient(self.socket, **self.options)
        first = self.batch(first=True)
        self.note(first, await client.append(first))
        futures = []
        async with r.Batcher(client, size=30, inflight=4) as batcher:
            while not self.stopping or self.unknown:
                tasks = [self.one(client, batch) for batch in self.unknown[:4] or [self.batch() for _ in range(3)]]
                for _ in range(self.random.randint(0, 20) * (not self.stopping)):
                    nonce = r.uuid7()
                    futures.append((nonce, await batcher.add("Mint", f"{self.prefix}/single", 1, nonce=nonce)))
                await asyncio.gather(*tasks)
                await asyncio.sleep(0.005)
        for nonce, future in futures:
            self.booked[nonce.hex()] = (await future).seq
        await client.close()

    async def one(self, client, batch):
        try:
            result = await asyncio.wait_for(client.append(batch), None if self.stopping else self.random.uniform(0.01, 1))
        except (asyncio.TimeoutError, r.OutcomeUnknownError):
            self.unknowns_met += 1
            if batch not in self.unknown:
                self.unknown.append(batch)
            return
        if batch in self.unknown:
            self.unknown.remove(batch)
        self.note(batch, result)


def main():
    driver = Asyncio() if "asyncio" in sys.argv[1:] else Blocking()
    for line in sys.stdin:
        q = json.loads(line)
        try:
            reply = getattr(driver, q["op"])(q)
        except (r.LedgerError, asyncio.TimeoutError, TimeoutError) as error:
            reply = {"error": {"type": type(error).__name__, "reason": getattr(error, "reason", ""), "text": str(error)}}
        print(json.dumps(reply), flush=True)


main()
