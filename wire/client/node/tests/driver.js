// Lets a test in another language drive this client: one JSON object a line on standard input says what to do, one
// a line on standard output what came of it (sidecar/sidecartest/clients_test.go).

import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Batch, Batcher, Client, LedgerError, OutcomeUnknownError, DisconnectedError, TO_HEAD, uuid7 } from '../src/index.js';
import { dial } from '../src/link.js';
import * as m from '../src/messages.js';

const sixteen = (text) => {
  if (text.length === 36) return Buffer.from(text.replaceAll('-', ''), 'hex');
  return Buffer.from(text, text.length === 32 ? 'hex' : 'base64');
};
const entryOf = ({ memo_base64, ...e }) => ({
  ...e, amount: BigInt(e.amount), nonce: sixteen(e.nonce), ref: e.ref === undefined ? undefined : sixteen(e.ref),
  memo: memo_base64 === undefined ? e.memo : Buffer.from(memo_base64, 'base64'),
});
const batchOf = ({ atomic, balances, dry_run: dryRun, idem_id, entries = [] }) => {
  const batch = new Batch({ atomic, balances, dryRun, idemId: idem_id ? sixteen(idem_id) : undefined });
  for (const e of entries) batch.add(entryOf(e));
  return batch;
};
const balance = (b) => ({ ...b, available: `${b.available}`, held: `${b.held}` });
const answer = (a) => ({
  first: Number(a.first), last: Number(a.last), size: Number(a.size), accepted: a.accepted, root: { '': a.root.toString('hex') },
  results: a.results.map((r) => ({ ...r, seq: Number(r.seq) })), balances: a.balances.map(balance),
});
const signal = (seconds = 30) => AbortSignal.timeout(seconds * 1000);

let client, load, running;
const ops = {
  async connect({ socket, token_file: tokenFile, server_uids: serverUids }) {
    client = await Client.connect(socket, { tokenFile, serverUids, name: 'driver' });
    const { rights, profile, hash } = client.welcome;
    return { rights, profile, hash };
  },
  async append({ request, timeout }) {
    if (request.hex) {
      const link = await dial(client.options);
      const payload = Buffer.concat([Buffer.alloc(24), Buffer.from(request.hex.join(''), 'hex')]);
      payload.writeUInt32LE(request.hex.length, 4);
      const appended = m.decodeAppended(await link.call(m.APPEND, payload));
      await link.close();
      return { answer: answer(appended) };
    }
    const result = await client.append(batchOf(request), { signal: signal(timeout) });
    return { answer: answer(result), resent: result.resent };
  },
  async find({ account, nonce }) { return { seq: Number((await client.find(account, sixteen(nonce)))?.seq ?? 0) }; },
  async account({ account }) {
    const { known, balances } = await client.account(account);
    return { known, balances: balances.map(balance) };
  },
  async accounts({ prefix, after }) { return { balances: (await all(client.accounts(prefix, after))).map(balance) }; },
  async entries({ from, to }) {
    const records = await all(client.entries(BigInt(from), to ? BigInt(to) : TO_HEAD));
    return { entries: records.map(({ seq, entry }) => ({ seq: Number(seq), account: entry.account, amount: `${entry.amount}` })) };
  },
  async roots({ from, wait = 0 }) {
    const { roots, next } = await client.roots(BigInt(from), { waitMs: wait * 1000 });
    return { sizes: roots.map(({ size }) => Number(size)), next: Number(next) };
  },
  async watch({ from, to }) {
    const sizes = [];
    for await (const { head } of client.watch(from)) {
      sizes.push(Number(head.size));
      if (head.size >= to) return { sizes };
    }
  },
  async status() { return { ready: (await client.status()).ready }; },
  async prove({ seq }) {
    const p = await client.prove(seq);
    return { seq: Number(p.seq), hashes: p.hashes.length, size: Number(p.size) };
  },
  async close() {
    await client.close();
    return {};
  },
  async bench({ seconds }) {
    const accounts = Array.from({ length: 1000 }, (_, i) => `bank/account/${`${i}`.padStart(6, '0')}`);
    const memo = Buffer.alloc(100, '.');
    const began = performance.now(), cpu = process.cpuUsage();
    function* batches() {
      while (performance.now() - began < seconds * 1000) {
        const batch = new Batch(), ts = Date.now();
        for (let i = 0; i < 256; i++) batch.add({ kind: 'Mint', account: accounts[i], amount: 1, asset: 'EUR', ts, memo });
        yield batch;
      }
    }
    let entries = 0;
    for await (const [batch, result] of client.appendAll(batches())) {
      for (let i = 0; i < batch.length; i++) if (result.outcome(i).seq) entries++;
      batch.release();
    }
    const { user, system } = process.cpuUsage(cpu);
    return { bench: { entries, seconds: (performance.now() - began) / 1000, cpu: (user + system) / 1e6 } };
  },
  async torture(q) {
    load = new Load(q);
    running = load.run();
    return {};
  },
  async stop() {
    load.stopping = true;
    await running;
    const { booked, rejected, unknown, unknownsMet: unknowns_met, resent } = load;
    return { beliefs: { booked, rejected, unknown: unknown.length, unknowns_met, resent } };
  },
};

async function all(rows) {
  const list = [];
  for await (const row of rows) list.push(row);
  return list;
}

/** Random numbers from a seed (mulberry32). */
const seeded = (seed) => () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
};

/** Entries until it is told to stop, and what it believes became of each. */
class Load {
  booked = {};
  rejected = [];
  unknown = [];
  unknownsMet = 0;
  resent = 0;
  stopping = false;

  constructor({ socket, token_file: tokenFile, prefix, seed }) {
    Object.assign(this, { prefix, random: seeded(seed), client: new Client(socket, { tokenFile, name: prefix }) });
  }

  /** Poor never has money, rich always has enough. */
  batch(first = false) {
    const { prefix } = this;
    const kinds = [
      { kind: 'Mint', account: `${prefix}/a`, amount: 5 },
      { kind: 'Transfer', account: `${prefix}/rich`, counterparty: `${prefix}/b`, amount: 1 },
      { kind: 'Burn', account: `${prefix}/poor`, amount: 1 },
    ];
    const atomic = !first && this.random() < 0.2;
    const entries = first ? [{ kind: 'Mint', account: `${prefix}/rich`, amount: 1n << 60n }]
      : Array.from({ length: 1 + Math.floor(40 * this.random()) }, () => kinds[Math.floor(this.random() * (atomic ? 2 : 3))]);
    const batch = new Batch({ atomic });
    batch.nonces = entries.map((e) => {
      const nonce = uuid7();
      batch.add({ ...e, nonce });
      return nonce.toString('hex');
    });
    return batch;
  }

  note(batch, result) {
    this.resent += result.resent ? 1 : 0;
    batch.nonces.forEach((nonce, i) => {
      const { seq, result: told } = result.outcome(i);
      if (seq) this.booked[nonce] = Number(seq);
      else if (told?.outcome === 'rejected') this.rejected.push(nonce);
      else throw new Error(`neither booked nor rejected: ${nonce}`);
    });
  }

  async one(batch) {
    try {
      const result = await this.client.append(batch, { signal: this.stopping ? undefined : AbortSignal.timeout(10 + Math.floor(990 * this.random())) });
      this.unknown = this.unknown.filter((other) => other !== batch);
      this.note(batch, result);
    } catch (error) {
      if (!(error instanceof OutcomeUnknownError || error instanceof DisconnectedError || ['busy', 'draining', 'timeout'].includes(error.reason))) throw error;
      this.unknownsMet += error instanceof OutcomeUnknownError ? 1 : 0;
      if (!this.unknown.includes(batch)) this.unknown.push(batch);
    }
  }

  async run() {
    const first = this.batch(true);
    this.note(first, await this.client.append(first));
    const batcher = new Batcher(this.client, { size: 30, inflight: 4 });
    const singles = [];
    while (!this.stopping || this.unknown.length > 0) {
      const batches = this.unknown.length > 0 ? this.unknown.slice(0, 4) : [this.batch(), this.batch(), this.batch()];
      for (let i = this.stopping ? 0 : Math.floor(20 * this.random()); i > 0; i--) {
        await batcher.ready();
        const nonce = uuid7();
        singles.push(batcher.add({ kind: 'Mint', account: `${this.prefix}/single`, amount: 1, nonce })
          .then(({ seq }) => { this.booked[nonce.toString('hex')] = Number(seq); }));
      }
      await Promise.all(batches.map((batch) => this.one(batch)));
      await sleep(5);
    }
    await batcher.close();
    await Promise.all(singles);
    await this.client.close();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const q = JSON.parse(line);
  let reply;
  try {
    reply = await ops[q.op](q);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    reply = { error: { type: error.name, reason: error.reason ?? '', text: error.message } };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
