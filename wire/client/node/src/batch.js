// The entries of one append, encoded into one buffer that is sent as it is.

import { ENTRY_MAX, checkEntry, writeEntry, writeHeader } from './codec.js';
import { ProtocolError, ReasonError } from './errors.js';
import { APPEND } from './messages.js';

const HEADER = 16 + 24; // of the frame and of the APPEND
const pool = []; // buffers of batches that are done, at most so many
const POOLED = 32;

/**
 * Entries of one append. Their nonces are fixed when they are added, so that the same
 * batch can be sent again without booking anything twice.
 */
export class Batch {
  #buffer;
  #end = HEADER;
  #count = 0;
  #written = false; // a frame of it was handed to a socket, which may not have sent it yet
  /** The log id of the ledger that may have booked it. */
  triedLog = undefined;

  constructor({ atomic = false, balances = false, dryRun = false, idemId = undefined } = {}) {
    if (idemId !== undefined && idemId.length !== 16) throw new TypeError('idemId is not 16 bytes');
    Object.assign(this, { atomic, balances, dryRun, idemId });
    this.#buffer = pool.pop() ?? Buffer.allocUnsafe(64 << 10);
  }

  /** Encodes an entry and returns its index. Throws Fault; the batch is then as it was. */
  add(entry) {
    this.#room();
    this.#end += writeEntry(this.#buffer, this.#end, entry);
    return this.#count++;
  }

  /** Adds an entry that is already encoded, after checking it. */
  addRaw(entry) {
    checkEntry(entry);
    this.#room();
    this.#buffer.set(entry, this.#end);
    this.#end += entry.length;
    return this.#count++;
  }

  #room() {
    if (this.#end + ENTRY_MAX <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(2 * this.#buffer.length);
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }

  get length() { return this.#count; }

  /** The length of the payload in bytes. */
  get size() { return this.#end - 16; }

  /** The frame that asks for the append, valid until the batch is changed. */
  frame(id) {
    if (this.#written) {
      const copy = Buffer.allocUnsafe(this.#buffer.length);
      this.#buffer.copy(copy, 0, 0, this.#end);
      this.#buffer = copy;
    }
    this.#written = true;
    const b = this.#buffer;
    writeHeader(b, this.#end - 16, APPEND, id);
    b.writeUInt32LE((this.atomic ? 1 : 0) | (this.balances ? 2 : 0) | (this.dryRun ? 4 : 0), 16);
    b.writeUInt32LE(this.#count, 20);
    if (this.idemId) b.set(this.idemId, 24);
    else b.fill(0, 24, 40);
    return b.subarray(0, this.#end);
  }

  /** Throws ReasonError when the server would not take the batch. */
  check(welcome) {
    if (this.#count === 0) throw new ReasonError('malformed', 'batch has no entries');
    if (this.idemId && !this.atomic) throw new ReasonError('malformed', 'idemId is only for an atomic batch');
    if (welcome.maxEntries > 0 && this.#count > welcome.maxEntries)
      throw new ReasonError('too_large', `batch has ${this.#count} entries, the server takes ${welcome.maxEntries}`);
    if (this.size > welcome.maxFrame)
      throw new ReasonError('too_large', `batch has ${this.size} bytes, the server takes ${welcome.maxFrame}`);
  }

  /** Gives the memory back when a batch was answered and is not needed any more. It cannot be used afterwards. */
  release() {
    if (this.#buffer && pool.length < POOLED && this.#buffer.length <= 1 << 20) pool.push(this.#buffer);
    this.#buffer = undefined;
  }
}

/** What became of a batch: what it counts as booked is durable and covered by root. */
export class AppendResult {
  constructor(answer, batch) {
    Object.assign(this, answer);
    this.refused = batch.atomic && answer.accepted === 0 && answer.results.some((r) => r.outcome === 'rejected');
    this.resent = false;
    if (!this.refused && answer.accepted + answer.results.length !== batch.length)
      throw new ProtocolError(`${answer.accepted} new entries and ${answer.results.length} results answer a batch of ${batch.length}`);
    let before = -1;
    for (const { index } of answer.results) {
      if (index <= before || index >= batch.length) throw new ProtocolError('the results of an APPENDED are out of order');
      before = index;
    }
  }

  /** The sequence number of an entry, and its result when it is not plainly new. */
  outcome(index) {
    let low = 0, high = this.results.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.results[middle].index < index) low = middle + 1;
      else high = middle;
    }
    const result = this.results[low];
    if (result?.index === index) return { seq: result.seq, result };
    return { seq: this.first === 0n ? 0n : this.first + BigInt(index - low), result: undefined };
  }
}
