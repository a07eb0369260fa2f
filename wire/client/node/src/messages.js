// Requests as bytes, and answers from bytes, without I/O: docs/PROTOCOL.md, section 5.

import { STAMP, assetBytes, checkAsset, checkRecord, decodeEntry, nameFault, sizedEntry } from './codec.js';
import { Fault, reasonName } from './errors.js';

export const HELLO = 0x01, WELCOME = 0x02, AUTH = 0x03, OK = 0x04, APPEND = 0x10, APPENDED = 0x11, ROOTS = 0x20,
  ENTRIES = 0x22, ACCOUNT = 0x24, PROVE = 0x26, WATCH = 0x28, STATUS = 0x30, ERROR = 0x7f;
export const TO_HEAD = (1n << 64n) - 1n;

// A request is written as a row of [width, value] or bytes.
function write(...fields) {
  const parts = fields.map((field) => {
    if (!Array.isArray(field)) return typeof field === 'string' ? Buffer.from(field, 'latin1') : field;
    const [width, value] = field;
    const b = Buffer.alloc(width);
    if (width === 8) b.writeBigUInt64LE(BigInt(value));
    else if (value) b.writeUIntLE(value, 0, width);
    return b;
  });
  return Buffer.concat(parts);
}

const zeros = (n) => Buffer.alloc(n);

export const hello = (token, name, lowest = 1, highest = 1) =>
  write('RLGR', [2, lowest], [2, highest], [2, token.length], [1, name.length], [1, 0], token, name);
export const auth = (token) => write([2, token.length], [2, 0], token);
export const roots = (since, limit, waitMs) => write([8, since], [4, limit], [4, waitMs]);
export const entriesByRange = (first, last) => write([4, 0], [4, 0], [8, first], [8, last], zeros(16));
export const entriesByIdentity = (account, nonce) =>
  write([4, 1], [1, account.length], zeros(3), [8, 0], [8, 0], nonce, account);
export const account = (name) => write([4, 0], [4, 0], zeros(8), [1, name.length], zeros(7), name);
export const listing = (prefix, after, limit = 0, asset = undefined) =>
  write([4, asset === undefined ? 1 : 3], [4, limit], asset === undefined ? zeros(8) : assetBytes(asset), [1, after.length],
    [1, prefix.length], zeros(6), after, prefix);
export const prove = (seq, size = 0n, consistency = false) =>
  write([4, consistency ? 2 : 0], [4, 0], [8, seq], [8, size], zeros(16));
export const proveIdentity = (account, nonce, size = 0n) =>
  write([4, 1], [1, account.length], zeros(3), [8, 0], [8, size], nonce, account);
export const watch = (size) => write([8, size]);

/** Reads a message from its first byte to its last. */
class Reader {
  constructor(payload) {
    this.b = payload;
    this.at = 0;
  }
  skip(n) {
    if (this.at + n > this.b.length) throw new Fault('malformed', this.b.length, 'message is cut off');
    this.at += n;
    return this.at - n;
  }
  bytes(n) {
    const at = this.skip(n);
    return Buffer.from(this.b.subarray(at, at + n));
  }
  u8() { return this.b[this.skip(1)]; }
  u16() { return this.b.readUInt16LE(this.skip(2)); }
  u32() { return this.b.readUInt32LE(this.skip(4)); }
  u64() { return this.b.readBigUInt64LE(this.skip(8)); }
  time() { return Number(this.b.readBigInt64LE(this.skip(8))); }
  amount() { const low = this.u64(); return low | (this.u64() << 64n); }
  head() { return { size: this.u64(), root: this.bytes(32), timeMs: this.time() }; }
  zero(n) {
    const at = this.skip(n);
    for (let i = at; i < at + n; i++) if (this.b[i]) throw new Fault('malformed', i, 'reserved byte is not zero');
  }
  length(width, limit) {
    const n = width === 1 ? this.u8() : this.u16();
    if (n > limit) throw new Fault('malformed', this.at - width, 'length is above its limit');
    return n;
  }
  flags(allowed) {
    const flags = this.u32();
    if (flags & ~allowed) throw new Fault('malformed', this.at - 4, 'unknown flag is set');
    return flags;
  }
  text(n) {
    const at = this.skip(n);
    for (let i = at; i < at + n; i++)
      if (this.b[i] < 0x20 || this.b[i] > 0x7e) throw new Fault('malformed', i, 'text is not printable ASCII');
    return this.b.latin1Slice(at, at + n);
  }
  balance() {
    const length = this.length(1, 128);
    if (length === 0) throw new Fault('malformed', this.at - 1, 'account name is empty');
    const at = this.skip(8);
    checkAsset(this.b, at, at);
    const asset = this.b.latin1Slice(at, at + 8).replace(/\0+$/, '');
    const available = this.amount(), held = this.amount();
    const start = this.skip(length);
    const name = this.b.latin1Slice(start, start + length);
    const bad = nameFault(name);
    if (bad >= 0) throw new Fault('malformed', start + bad, 'account name has a byte outside its alphabet');
    return { account: name, asset, available, held };
  }
  result() {
    const start = this.at;
    const index = this.u32(), outcome = this.u8(), reason = this.u8(), length = this.u16(), offset = this.u32(), seq = this.u64();
    if (outcome !== 1 && outcome !== 2) throw new Fault('malformed', start + 4, 'outcome is neither 1 nor 2');
    const rejected = outcome === 2;
    if (rejected !== reason > 0) throw new Fault('malformed', start + 5, 'a rejected entry has a reason, and no other has');
    if (rejected !== (seq === 0n)) throw new Fault('malformed', start + 12, 'a duplicate has a sequence number, and no other has');
    if (length > 512) throw new Fault('malformed', start + 6, 'length is above its limit');
    const detail = this.text(length);
    return { index, outcome: rejected ? 'rejected' : 'duplicate', reason: rejected ? reasonName(reason) : '', offset, seq, detail };
  }
  record() {
    const start = this.at;
    let size;
    try {
      size = sizedEntry(this.b, start, this.b.length);
      checkRecord(this.b.subarray(start, start + size + STAMP));
    } catch (fault) {
      throw new Fault(fault.reason, fault.offset + start, fault.detail);
    }
    const raw = this.bytes(size + STAMP);
    return {
      entry: decodeEntry(raw), capabilityId: raw.subarray(size, size + 16), keyId: raw.subarray(size + 16), raw,
    };
  }
  end(value) {
    if (this.at !== this.b.length) throw new Fault('malformed', this.at, 'bytes follow the message');
    return value;
  }
}

const many = (count, read) => {
  const rows = [];
  while (rows.length < count) rows.push(read());
  return rows;
};

export const decodeOK = (payload) => new Reader(payload).end();

export function decodeWelcome(payload) {
  const r = new Reader(payload);
  const version = r.u16();
  const name = r.length(1, 128), hash = r.length(1, 16), profile = r.length(1, 16), rights = r.length(1, 64);
  const key = r.length(2, 512), token = r.length(2, 4096);
  r.zero(2);
  return r.end({
    version, maxFrame: r.u32(), maxInflight: r.u32(), maxEntries: r.u32(), logId: r.bytes(16), epoch: r.u64(), head: r.head(),
    server: r.text(name), hash: r.text(hash), profile: r.text(profile), verifyKey: r.text(key), token: r.bytes(token),
    rights: many(rights, () => r.text(r.length(2, 4096))),
  });
}

export function decodeAppended(payload) {
  const r = new Reader(payload);
  const first = r.u64(), last = r.u64(), size = r.u64(), root = r.bytes(32), accepted = r.u32();
  const results = r.u32(), balances = r.u32();
  return r.end({
    first, last, size, root, accepted, results: many(results, () => r.result()), balances: many(balances, () => r.balance()),
  });
}

export function decodeRoots(payload) {
  const r = new Reader(payload);
  const next = r.u64(), count = r.u32(), checkpoint = r.u32();
  if (count * 48 + checkpoint !== payload.length - r.at)
    throw new Fault('malformed', 8, 'counts do not agree with the length of the message');
  return { next, roots: many(count, () => r.head()), checkpoint: r.bytes(checkpoint) };
}

export function decodeEntries(payload) {
  const r = new Reader(payload);
  const size = r.u64(), oldest = r.u64(), next = r.u64(), count = r.u32();
  r.zero(4);
  const records = many(count, () => {
    const seq = r.u64(), timeMs = r.time();
    return { seq, timeMs, ...r.record() };
  });
  return r.end({ size, oldest, next, records });
}

export function decodeAccount(payload) {
  const r = new Reader(payload);
  const size = r.u64(), root = r.bytes(32), flags = r.flags(3), count = r.u32();
  return r.end({ size, root, known: (flags & 1) !== 0, goesOn: (flags & 2) !== 0, balances: many(count, () => r.balance()) });
}

export function decodeProof(payload) {
  const r = new Reader(payload);
  const consistency = r.flags(2) !== 0, hashes = r.u16();
  if (hashes > 64) throw new Fault('malformed', 4, 'more hashes than a proof can have');
  const record = r.length(2, 2072), seq = r.u64(), size = r.u64(), root = r.bytes(32), checkpoint = r.u32();
  r.zero(4);
  if (consistency !== (record === 0)) throw new Fault('malformed', 6, 'an inclusion proof has a record, and no other has');
  if (seq > size) throw new Fault('malformed', 8, 'what is proven is not in a tree of that size');
  const path = many(hashes, () => r.bytes(32));
  const start = r.at;
  const raw = record ? r.record().raw : Buffer.alloc(0);
  if (r.at - start !== record) throw new Fault('malformed', r.at, 'bytes follow the record');
  if (checkpoint !== payload.length - r.at)
    throw new Fault('malformed', 56, 'the length of the checkpoint does not agree with that of the message');
  return { consistency, seq, size, root, hashes: path, record: raw, checkpoint: r.bytes(checkpoint) };
}

export function decodeWatched(payload) {
  const r = new Reader(payload);
  return r.end({ first: r.u64(), head: r.head() });
}

export function decodeError(payload) {
  const r = new Reader(payload);
  const reason = r.u8();
  if (reason === 0) throw new Fault('malformed', 0, 'error has no reason');
  r.zero(1);
  const length = r.length(2, 512), retryAfterMs = r.u32(), offset = r.u32();
  return r.end({ reason: reasonName(reason), retryAfterMs, offset, detail: r.text(length) });
}
