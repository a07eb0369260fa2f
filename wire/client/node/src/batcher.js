// Makes batches of single entries.

import { Batch } from './batch.js';
import { RejectedError } from './errors.js';

const BYTES = 512 << 10;

/**
 * A batch is sent when it has size entries, or lingerMs after its first. At most inflight batches are under way;
 * beyond that ready() waits. Batches under way at the same time may be committed in another order when one is
 * refused as busy or the connection breaks; inflight = 1 keeps the order.
 */
export class Batcher {
  #client; #size; #lingerMs; #inflight; #signal;
  #batch = new Batch();
  #waiting = [];
  #queue = [];
  #underWay = new Set();
  #timer = null;
  #room = [];

  constructor(client, { size = 256, lingerMs = 2, inflight = 16, signal } = {}) {
    this.#client = client;
    this.#size = size;
    this.#lingerMs = lingerMs;
    this.#inflight = inflight;
    this.#signal = signal;
  }

  /** Resolves when there is room: await it before add, so that what waits stays bounded. */
  ready() {
    if (this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#room.push(resolve));
  }

  /** Takes an entry. The promise has { seq, duplicate }, or fails with RejectedError or with what append throws. */
  add(entry) {
    return new Promise((resolve, reject) => {
      this.#batch.add(entry);
      this.#waiting.push({ resolve, reject });
      if (this.#waiting.length >= this.#size || this.#batch.size > BYTES) this.flush();
      else this.#timer ??= setTimeout(() => this.flush(), this.#lingerMs);
    });
  }

  /** Sends what was added. */
  flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.length === 0) return;
    this.#queue.push([this.#batch, this.#waiting]);
    this.#batch = new Batch();
    this.#waiting = [];
    this.#start();
  }

  #start() {
    while (this.#queue.length > 0 && this.#underWay.size < this.#inflight) {
      const task = this.#send(...this.#queue.shift()).finally(() => {
        this.#underWay.delete(task);
        this.#start();
      });
      this.#underWay.add(task);
    }
    if (this.#queue.length === 0) for (const resolve of this.#room.splice(0)) resolve();
  }

  async #send(batch, waiting) {
    let result;
    try {
      result = await this.#client.append(batch, { signal: this.#signal });
    } catch (error) {
      for (const { reject } of waiting) reject(error);
      return;
    }
    waiting.forEach(({ resolve, reject }, i) => {
      const { seq, result: told } = result.outcome(i);
      if (told?.outcome === 'rejected') reject(new RejectedError(told.reason, told.detail, told.offset));
      else resolve({ seq, duplicate: told !== undefined });
    });
    batch.release();
  }

  /** Sends what is left and waits for all answers. */
  async close() {
    this.flush();
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }
}
