// Entries, frames and their checks as bytes, without I/O: docs/PROTOCOL.md, sections 2 and 4.

import { randomFillSync } from 'node:crypto';
import { Fault } from './errors.js';

export const KINDS = Object.freeze({
  Credit: 1, Debit: 2, Transfer: 3, Mint: 4, Burn: 5, Hold: 6, Reverse: 7, Release: 8, Capture: 9,
});
const NAMES = { ...Object.fromEntries(Object.entries(KINDS).map(([name, n]) => [n, name])), 240: 'Epoch' };
export const DEFAULT_MAX_FRAME = 1 << 20;
export const ENTRY_MAX = 2048;
export const STAMP = 24;
const MAX_AMOUNT = (1n << 128n) - 1n;
const U64 = (1n << 64n) - 1n;
const hasCounterparty = (kind) => kind === 3 || kind === 9;
const hasRef = (kind) => kind === 7 || kind === 8 || kind === 9 || kind === 240;

const nameChars = /^[A-Za-z0-9:/\-_.@]*/;
const assetChars = /^[A-Z0-9.\-]*/;

// Names and assets repeat, so what was checked is kept, at most so many.
const KEPT = 65_536;
const known = new Set();
const assets = new Map([['', Buffer.alloc(8)]]);

function checkName(name, offset) {
  if (typeof name !== 'string' || name.length === 0) throw new Fault('malformed', offset, 'name is empty');
  if (name.length > 128) throw new Fault('malformed', offset, 'name is longer than 128 bytes');
  if (nameChars.exec(name)[0].length !== name.length)
    throw new Fault('malformed', 72, `name ${JSON.stringify(name)} has a byte outside A-Z a-z 0-9 : / - _ . @`);
  if (known.size >= KEPT) known.clear();
  known.add(name);
}

export function assetBytes(asset) {
  if (asset.length > 8 || assetChars.exec(asset)[0].length !== asset.length)
    throw new Fault('malformed', 64, `asset ${JSON.stringify(asset)} is not up to 8 of A-Z 0-9 . -`);
  if (assets.size >= KEPT) assets.clear();
  const bytes = Buffer.alloc(8);
  bytes.latin1Write(asset);
  assets.set(asset, bytes);
  return bytes;
}

const random = Buffer.allocUnsafe(4096);
let spent = random.length;

/** Writes a new nonce, a UUIDv7, at an offset. */
export function writeNonce(into, at, now = Date.now()) {
  if (spent + 10 > random.length) {
    randomFillSync(random);
    spent = 0;
  }
  into.writeUIntBE(now, at, 6);
  random.copy(into, at + 6, spent, spent + 10);
  spent += 10;
  into[at + 6] = (into[at + 6] & 0x0f) | 0x70;
  into[at + 8] = (into[at + 8] & 0x3f) | 0x80;
}

/** A new nonce. */
export function uuid7() {
  const nonce = Buffer.allocUnsafe(16);
  writeNonce(nonce, 0);
  return nonce;
}

function writeAmount(into, at, amount) {
  if (typeof amount === 'number') {
    if (!Number.isSafeInteger(amount) || amount <= 0)
      throw new Fault('malformed', 32, 'amount is not a positive safe integer: use a BigInt for others');
    into.writeUInt32LE(amount % 0x1_0000_0000, at);
    into.writeUInt32LE(Math.floor(amount / 0x1_0000_0000), at + 4);
    into.fill(0, at + 8, at + 16);
    return;
  }
  if (typeof amount !== 'bigint' || amount <= 0n || amount > MAX_AMOUNT)
    throw new Fault('malformed', 32, 'amount is not 1 to 2^128-1');
  into.writeBigUInt64LE(amount & U64, at);
  into.writeBigUInt64LE(amount >> 64n, at + 8);
}

/** Writes an entry at an offset, where ENTRY_MAX bytes are free, and returns its size. Throws Fault. */
export function writeEntry(into, at, e) {
  const kind = KINDS[e.kind];
  if (kind === undefined) throw new Fault('unknown_kind', 3, `kind ${e.kind} is none that a client can send`);
  const { account, counterparty = '', asset = '', nonce, ref, ts = Date.now(), memo } = e;
  if (!known.has(account)) checkName(account, 4);
  if (hasCounterparty(kind) !== (counterparty !== '')) throw new Fault('malformed', 5, 'counterparty does not fit the kind');
  if (counterparty !== '' && !known.has(counterparty)) checkName(counterparty, 5);
  const text = typeof memo === 'string';
  const memoLength = memo === undefined ? 0 : text ? Buffer.byteLength(memo) : memo.length;
  if (memoLength > 1024) throw new Fault('malformed', 6, 'memo is longer than 1024 bytes');
  if (nonce !== undefined && nonce.length !== 16) throw new Fault('malformed', 16, 'nonce is not 16 bytes');
  if (ref !== undefined && (!hasRef(kind) || ref.length !== 16)) throw new Fault('malformed', 48, 'this kind has no ref, or it is not 16 bytes');
  const unit = assets.get(asset) ?? assetBytes(asset);
  const counter = at + 72 + account.length;
  const start = counter + counterparty.length;
  const used = start + memoLength - at;
  const size = (used + 7) & ~7;
  writeAmount(into, at + 32, e.amount);
  into.writeUInt16LE(size, at);
  into[at + 2] = 1;
  into[at + 3] = kind;
  into[at + 4] = account.length;
  into[at + 5] = counterparty.length;
  into.writeUInt16LE(memoLength, at + 6);
  if (typeof ts === 'bigint') into.writeBigInt64LE(ts, at + 8);
  else {
    into.writeUInt32LE(ts >>> 0, at + 8);
    into.writeInt32LE(Math.floor(ts / 0x1_0000_0000), at + 12);
  }
  if (nonce === undefined) writeNonce(into, at + 16);
  else into.set(nonce, at + 16);
  if (ref === undefined) into.fill(0, at + 48, at + 64);
  else into.set(ref, at + 48);
  into.set(unit, at + 64);
  into.latin1Write(account, at + 72);
  if (counterparty !== '') into.latin1Write(counterparty, counter);
  if (text) into.utf8Write(memo, start);
  else if (memo !== undefined) into.set(memo, start);
  into.fill(0, at + used, at + size);
  return size;
}

/** The size of the entry that starts at. Throws Fault, with the offset from at. */
export function sizedEntry(b, at, end) {
  if (end - at < 72) throw new Fault('malformed', end - at, 'entry is cut off: fewer than 72 bytes are left');
  const size = b.readUInt16LE(at);
  if (size < 80) throw new Fault('malformed', 0, 'entry size is below 80 bytes');
  if (size > ENTRY_MAX) throw new Fault('too_large', 0, 'entry size is above 2048 bytes');
  if (size % 8) throw new Fault('malformed', 0, 'entry size is not a multiple of 8');
  if (size > end - at) throw new Fault('malformed', 0, 'entry size is beyond the end of the data');
  return size;
}

/** Throws Fault at the first of 8 bytes that no asset has there. */
export function checkAsset(b, at, offset) {
  const text = b.latin1Slice(at, at + 8);
  const length = text.search(/\0*$/);
  const good = assetChars.exec(text)[0].length;
  if (good >= length) return;
  let bad = good; // a zero inside the name is the beginning of the padding: what follows it offends
  if (bad > 0) while (b[at + bad] === 0) bad++;
  throw new Fault('malformed', offset + bad, 'asset has a byte outside A-Z 0-9 . - or one behind its padding');
}

/** Throws Fault unless b is exactly one entry. The server alone writes Epoch. */
export function checkEntry(b, fromClient = true) {
  const size = sizedEntry(b, 0, b.length);
  checkSized(b.subarray(0, size), fromClient);
  if (size !== b.length) throw new Fault('malformed', size, 'bytes follow the entry');
}

const isZero = (b, from, to) => {
  for (let i = from; i < to; i++) if (b[i]) return false;
  return true;
};

function checkSized(e, fromClient) {
  if (e[2] !== 1) throw new Fault('malformed', 2, 'entry version is not 1');
  const kind = e[3];
  if (!(kind in NAMES) || (fromClient && kind === 240)) throw new Fault('unknown_kind', 3, 'kind is none that is known here');
  if (e[4] < 1 || e[4] > 128) throw new Fault('malformed', 4, 'account name is not 1 to 128 bytes');
  if (hasCounterparty(kind) !== e[5] > 0 || e[5] > 128) throw new Fault('malformed', 5, 'counterparty does not fit the kind');
  const memo = e.readUInt16LE(6);
  if (memo > 1024) throw new Fault('malformed', 6, 'memo is longer than 1024 bytes');
  if (isZero(e, 32, 48)) throw new Fault('malformed', 32, 'amount is zero');
  if (!hasRef(kind) && !isZero(e, 48, 64)) throw new Fault('malformed', 48, 'this kind has no ref');
  checkAsset(e, 64, 64);
  const names = 72 + e[4] + e[5];
  const used = names + memo;
  if (e.length !== ((used + 7) & ~7)) throw new Fault('malformed', 0, 'entry size does not follow from the lengths in it');
  const good = 72 + nameChars.exec(e.latin1Slice(72, names))[0].length;
  if (good !== names) throw new Fault('malformed', good, 'name has a byte outside A-Z a-z 0-9 : / - _ . @');
  for (let i = used; i < e.length; i++) if (e[i]) throw new Fault('malformed', i, 'padding is not zero');
  if (kind === 240) checkEpoch(e);
}

function checkEpoch(e) {
  const said = decodeEntry(e);
  const wrong = [
    [said.account !== 'epoch', 4, 'the account of an Epoch is epoch'],
    [said.memo.length < 48 || said.memo.length > 304, 6, 'the memo of an Epoch has 48 to 304 bytes'],
    [isZero(said.nonce, 0, 16), 16, 'the log id is zero'],
    [said.amount > U64, 40, 'the number of an epoch is above 2^64-1'],
    [said.nonce.equals(said.ref), 48, 'the old log id is the new one'],
    [said.asset !== '', 64, 'an Epoch has no asset'],
  ].find(([is]) => is);
  if (wrong) throw new Fault('malformed', wrong[1], wrong[2]);
  const bad = said.memo.subarray(48).findIndex((c) => c < 0x20 || c > 0x7e);
  if (bad >= 0) throw new Fault('malformed', 72 + 5 + 48 + bad, 'the reason is not printable ASCII');
}

/** Throws Fault unless b is exactly one record: an entry and its stamp. */
export function checkRecord(b) {
  const size = sizedEntry(b, 0, b.length);
  checkEntry(b.subarray(0, size), false);
  if (b.length < size + STAMP) throw new Fault('malformed', b.length, 'stamp is cut off');
  if (b[3] === 240 && !isZero(b, size, size + STAMP)) throw new Fault('malformed', size, 'the stamp of an Epoch is not zero');
  if (b.length > size + STAMP) throw new Fault('malformed', size + STAMP, 'bytes follow the record');
}

export const nameFault = (text) => {
  const good = nameChars.exec(text)[0].length;
  return good === text.length ? -1 : good;
};

/** The fields of an entry that was checked. */
export function decodeEntry(e) {
  const counter = 72 + e[4];
  const text = counter + e[5];
  return {
    kind: NAMES[e[3]],
    account: e.latin1Slice(72, counter),
    counterparty: e.latin1Slice(counter, text),
    amount: e.readBigUInt64LE(32) | (e.readBigUInt64LE(40) << 64n),
    asset: e.latin1Slice(64, 72).replace(/\0+$/, ''),
    nonce: Buffer.from(e.subarray(16, 32)),
    ref: hasRef(e[3]) ? Buffer.from(e.subarray(48, 64)) : undefined,
    ts: Number(e.readBigInt64LE(8)),
    memo: Buffer.from(e.subarray(text, text + e.readUInt16LE(6))),
  };
}

/** Writes the header of a frame at the start of a buffer. */
export function writeHeader(into, length, type, id) {
  into.writeUInt32LE(length, 0);
  into[4] = type;
  into[5] = 0;
  into.writeUInt16LE(0, 6);
  into.writeUInt32LE(id % 0x1_0000_0000, 8);
  into.writeUInt32LE(Math.floor(id / 0x1_0000_0000), 12);
}

export function frame(type, id, payload) {
  const whole = Buffer.allocUnsafe(16 + payload.length);
  writeHeader(whole, payload.length, type, id);
  whole.set(payload, 16);
  return whole;
}

/** The header that starts at. Throws Fault. */
export function parseHeader(b, at, maxFrame) {
  const flags = b[at + 5];
  if (flags & ~3) throw new Fault('malformed', 5, 'unknown flag is set');
  if (b[at + 6]) throw new Fault('malformed', 6, 'reserved byte is not zero');
  if (b[at + 7]) throw new Fault('malformed', 7, 'reserved byte is not zero');
  const length = b.readUInt32LE(at);
  if (length > maxFrame) throw new Fault('too_large', 0, 'frame is longer than the limit');
  return { length, type: b[at + 4], flags, id: b.readUInt32LE(at + 8) + b.readUInt32LE(at + 12) * 0x1_0000_0000 };
}
