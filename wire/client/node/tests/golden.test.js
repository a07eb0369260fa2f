// The golden vectors of wire/testdata: every good message is read or written byte for
// byte, every bad one is refused with its reason and offset.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import * as codec from '../src/codec.js';
import { Fault } from '../src/errors.js';
import * as m from '../src/messages.js';
import { Batch } from '../src/batch.js';

const read = (name) => JSON.parse(readFileSync(new URL(`../../../testdata/${name}`, import.meta.url)));
const counting = (start, n) => Buffer.from(Array.from({ length: n }, (_, i) => start + i));
const nonce = counting(0x10, 16);
const token = Buffer.from('deadbeef', 'hex');
const transfer = {
  kind: 'Transfer', account: 'acct_a', counterparty: 'acct_b', amount: 12345, asset: 'EUR', nonce, ts: 1728794183123, memo: 'lunch',
};
const batch = (options, ...entries) => {
  const b = new Batch(options);
  for (const e of entries) b.add(e);
  return b.frame(2).subarray(16);
};
const encode = (e) => {
  const b = Buffer.alloc(codec.ENTRY_MAX);
  return b.subarray(0, codec.writeEntry(b, 0, e));
};

const writers = {
  hello: () => m.hello(token, 'demo', 1, 2),
  auth: () => m.auth(Buffer.from('tok')),
  'append one': () => batch({}, transfer),
  'append atomic': () => batch({ atomic: true, balances: true, idemId: counting(0x20, 16) }, transfer, transfer),
  'append dry run': () => batch({ dryRun: true }, transfer),
  roots: () => m.roots(5n, 10, 30000),
  'entries range': () => m.entriesByRange(1n, m.TO_HEAD),
  'entries identity': () => m.entriesByIdentity('acct_a', nonce),
  account: () => m.account('acct_a'),
  'account listing': () => m.listing('acct_', 'acct_a', 10, 'EUR'),
  prove: () => m.prove(5n),
  'prove identity': () => m.proveIdentity('acct_a', nonce, 9n),
  'prove consistency': () => m.prove(3n, 5n, true),
  status: () => Buffer.alloc(0),
  watch: () => m.watch(5n),
  'worked hello': () => codec.frame(m.HELLO, 1, m.hello(token, 'demo')),
  'worked append': () => { const b = new Batch(); b.add(transfer); return b.frame(2); },
  'status request': () => codec.frame(m.STATUS, 9, Buffer.alloc(0)),
};
const decoders = {
  welcome: m.decodeWelcome, ok: m.decodeOK, appended: m.decodeAppended, roots_answer: m.decodeRoots, entries_answer: m.decodeEntries,
  account_answer: m.decodeAccount, prove_answer: m.decodeProof, watch_answer: m.decodeWatched, error: m.decodeError,
  entry: codec.checkEntry, record: codec.checkRecord, status_answer: JSON.parse,
  frame: (b) => assert.equal(codec.parseHeader(b, 0, codec.DEFAULT_MAX_FRAME).length + 16, b.length),
};
const forOperators = new Set(['snapshot', 'snapshot_answer', 'admin', 'admin_answer']); // this client does not speak them
const checkedByServer = new Set(['hello', 'auth', 'append', 'roots', 'entries', 'account', 'prove', 'status', 'watch']);

test('golden vectors', () => {
  const written = new Set();
  for (const v of read('golden.json')) {
    const raw = Buffer.from(v.hex ?? '', 'hex');
    const good = v.reason === undefined;
    if (forOperators.has(v.what)) continue;
    if (good && writers[v.name]) {
      assert.equal(writers[v.name]().toString('hex'), raw.toString('hex'), v.name);
      written.add(v.name);
    }
    if (checkedByServer.has(v.what)) {
      assert.ok(!good || written.has(v.name), `no writer for ${v.name}`);
    } else if (good) {
      decoders[v.what](raw);
      if (v.what === 'entry') assert.equal(encode(codec.decodeEntry(raw)).toString('hex'), v.hex, v.name);
    } else {
      assert.throws(() => decoders[v.what](raw), (fault) => {
        assert.ok(fault instanceof Fault, `${v.name}: ${fault.stack}`);
        assert.deepEqual([fault.reason, fault.offset], [v.reason, v.offset ?? 0], v.name);
        return true;
      });
    }
  }
  assert.deepEqual([...written].sort(), Object.keys(writers).sort());
});

test('entries made elsewhere', () => {
  const { entries } = read('entries-and-roots.json');
  assert.equal(entries.length, 300);
  for (const { kind, account, counterparty, asset, amount, ts, nonce, ref, memo, entry_hex } of entries) {
    const made = encode({
      kind, account, counterparty, asset, ts, memo, amount: BigInt(amount), nonce: Buffer.from(nonce, 'hex'),
      ref: ref ? Buffer.from(ref, 'hex') : undefined,
    });
    assert.equal(made.toString('hex'), entry_hex);
    codec.checkEntry(made);
  }
});

test('what cannot be written', () => {
  const good = { kind: 'Mint', account: 'a', amount: 1 };
  for (const change of [
    { account: '' }, { account: 'a b' }, { account: 'a'.repeat(129) }, { account: 'ä' }, { amount: 0 }, { amount: 1.5 }, { amount: 1n << 128n },
    { counterparty: 'b' }, { kind: 'Transfer' }, { asset: 'eur' }, { asset: 'TOOLONGXX' }, { nonce: Buffer.alloc(3) },
    { ref: Buffer.alloc(16) }, { kind: 'Epoch' }, { memo: Buffer.alloc(1025) },
  ]) assert.throws(() => encode({ ...good, ...change }), Fault, JSON.stringify(change, (_, v) => (typeof v === 'bigint' ? `${v}` : v)));
});

test('nonces', () => {
  const nonces = new Set(Array.from({ length: 1000 }, () => codec.uuid7().toString('hex')));
  assert.equal(nonces.size, 1000);
  for (const n of nonces) assert.match(n, /^.{12}7.{3}[89ab]/);
});
