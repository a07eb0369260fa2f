// The client: one connection, made again when it breaks, with any number of requests under way.

import { setTimeout as sleep } from 'node:timers/promises';
import { AppendResult, Batch } from './batch.js';
import {
  ClosedError, DisconnectedError, Fault, ForgottenError, LedgerReplacedError, LostError, OutcomeUnknownError, ProtocolError, ReasonError,
  retryable, wantsNewToken,
} from './errors.js';
import { dial } from './link.js';
import * as m from './messages.js';
import { Backoff, Options } from './options.js';

export class Client {
  #link = null;
  #dialing = null;
  #closed = false;
  #underWay = 0;
  #waiting = [];

  constructor(socketPath, options) {
    this.options = new Options(socketPath, options);
  }

  /** Connects. The caller has to close the client. */
  static async connect(socketPath, options) {
    const client = new Client(socketPath, options);
    await client.#live();
    return client;
  }

  /** Ends the connection. Appends under way fail with an unknown outcome. */
  async close() {
    this.#closed = true;
    await this.#dialing?.catch(() => {});
    await this.#link?.close();
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() { await this.close(); }

  /** What the server said about itself when the newest connection was made. */
  get welcome() { return this.#link?.welcome ?? null; }

  async #live() {
    if (this.#closed) throw new ClosedError('client is closed');
    if (this.#link && !this.#link.lost) return this.#link;
    this.#dialing ??= dial(this.options).finally(() => { this.#dialing = null; });
    const link = await this.#dialing;
    if (this.#closed) await link.close();
    return (this.#link = link);
  }

  // A place among the requests that may wait for an answer.
  async #enter(signal) {
    const limit = Math.min(this.options.maxInflight, this.#link?.welcome?.maxInflight || 64);
    if (this.#underWay < limit) {
      this.#underWay++;
      return;
    }
    let place;
    try {
      await abortable(new Promise((resolve) => this.#waiting.push((place = resolve))), signal, DisconnectedError);
    } catch (error) {
      const at = this.#waiting.indexOf(place);
      if (at >= 0) this.#waiting.splice(at, 1);
      else this.#leave(); // it was given the place in the same moment
      throw error;
    }
  }

  #leave() {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#underWay--;
  }

  /** Whether to try again after an error: after a pause, or with another token where that helps. */
  async #again(error, link, used, backoff, signal) {
    if (signal?.aborted) return false;
    if (wantsNewToken(error)) return this.#renew(link, used);
    if (!retryable(error) || error.cause instanceof ClosedError) return false;
    if (link && error instanceof ReasonError && error.reason !== 'busy') await link.close(new Error(`given up: ${error.message}`));
    await sleep(backoff.next(error.retryAfterMs), undefined, { signal }).catch(() => {});
    return !this.#closed && !signal?.aborted;
  }

  // Swaps the token of a connection for a newer one of the token file.
  async #renew(link, used) {
    if (!link || !this.options.tokenFile) return false;
    if (link !== this.#link || link.token !== used) return true; // it was swapped since
    const token = this.options.readToken();
    if (token.length === 0 || token.equals(used)) return false;
    try {
      m.decodeOK(await link.call(m.AUTH, m.auth(token)));
      link.token = token;
    } catch (error) {
      return retryable(error);
    }
    return true;
  }

  /**
   * Appends a batch, or entries, and sends the same again, with pauses, as long as the server is busy, draining or
   * out of reach, until signal aborts. Safe because of the nonces.
   */
  async append(entries, { signal, ...flags } = {}) {
    const batch = entries instanceof Batch ? entries : batchOf(entries, flags);
    const backoff = new Backoff();
    await this.#enter(signal);
    try {
      for (let resent = false; ; ) {
        let link, used;
        try {
          link = await this.#live();
          used = link.token;
          const result = await this.#appendOnce(link, batch, resent, signal);
          result.resent = resent;
          return result;
        } catch (failure) {
          const error = failure instanceof Fault ? new ProtocolError(failure.message) : failure;
          resent ||= error instanceof LostError || error instanceof ProtocolError;
          if (error instanceof ProtocolError) await link?.close(new Error(`given up: ${error.message}`));
          if (await this.#again(error, link, used, backoff, signal)) continue;
          if (batch.triedLog) throw new OutcomeUnknownError(batch, error);
          throw error;
        }
      }
    } finally {
      this.#leave();
    }
  }

  async #appendOnce(link, batch, resent, signal) {
    const { logId } = link.welcome;
    batch.check(link.welcome);
    if (batch.triedLog && !batch.triedLog.equals(logId))
      throw new LedgerReplacedError('another ledger answers than the one that may have booked this');
    const before = batch.triedLog;
    batch.triedLog = logId;
    let payload;
    try {
      payload = await abortable(link.append(batch), signal, LostError);
    } catch (error) {
      if (error instanceof DisconnectedError || (error instanceof ReasonError && !resent)) batch.triedLog = before;
      throw error;
    }
    const result = new AppendResult(m.decodeAppended(payload), batch);
    batch.triedLog = undefined;
    return result;
  }

  /**
   * Appends batches from an iterable, sync or async, with up to window of them under way, and yields each with its
   * result, in their order. When it throws, what it has not yielded has an unknown outcome.
   */
  async *appendAll(batches, { window = 16, signal } = {}) {
    const underWay = [];
    const oldest = async () => {
      const [batch, result] = underWay.shift();
      const { value, error } = await result;
      if (error) throw error;
      return [batch, value];
    };
    for await (const batch of batches) {
      underWay.push([batch, this.append(batch, { signal }).then((value) => ({ value }), (error) => ({ error }))]);
      if (underWay.length >= window) yield await oldest();
    }
    while (underWay.length > 0) yield await oldest();
  }

  async #ask(type, payload, decode, signal) {
    const backoff = new Backoff();
    for (;;) {
      let link, used;
      await this.#enter(signal);
      try {
        link = await this.#live();
        used = link.token;
        return decode(await abortable(link.call(type, payload), signal, LostError));
      } catch (error) {
        if (error instanceof Fault) throw new ProtocolError(error.message);
        if (!(await this.#again(error, link, used, backoff, signal))) throw error;
      } finally {
        this.#leave();
      }
    }
  }

  // A request over a connection of its own, which ends with the loop.
  async *#stream(type, payload, decode) {
    if (this.#closed) throw new ClosedError('client is closed');
    const link = await dial(this.options);
    try {
      for await (const part of link.stream(type, payload)) yield decode(part);
    } catch (error) {
      throw error instanceof Fault ? new ProtocolError(error.message) : error;
    } finally {
      await link.close();
    }
  }

  /** The record of an identity, or undefined. */
  async find(account, nonce, { signal } = {}) {
    return (await this.#ask(m.ENTRIES, m.entriesByIdentity(account, nonce), m.decodeEntries, signal)).records[0];
  }

  /** What one account holds, as of everything that was sent before over this connection. */
  account(name, { signal } = {}) { return this.#ask(m.ACCOUNT, m.account(name), m.decodeAccount, signal); }

  /** What the accounts behind after hold that start with prefix, all as of one commit. */
  async *accounts(prefix = '', after = '') {
    for await (const part of this.#stream(m.ACCOUNT, m.listing(prefix, after), m.decodeAccount)) yield* part.balances;
  }

  /** The records first..last, in order. */
  async *entries(first = 1n, last = m.TO_HEAD) {
    for (let from = BigInt(first), next; from !== 0n && from <= last; from = next) {
      next = 0n;
      for await (const part of this.#stream(m.ENTRIES, m.entriesByRange(from, last), m.decodeEntries)) {
        if (from <= part.size && (part.oldest === 0n || part.oldest > from)) throw new ForgottenError(from, part.oldest);
        yield* part.records;
        next = part.next;
      }
    }
  }

  /** The roots of the commits behind since; where there is none yet it waits up to waitMs for one. */
  roots(since = 0n, { limit = 0, waitMs = 0, signal } = {}) {
    return this.#ask(m.ROOTS, m.roots(since, limit, waitMs), m.decodeRoots, signal);
  }

  /** The record of an entry and the proof that it is in the tree, unverified. */
  prove(seq, { size = 0n, signal } = {}) { return this.#ask(m.PROVE, m.prove(seq, size), m.decodeProof, signal); }

  /** The server's report about itself. */
  async status({ signal } = {}) {
    return this.#ask(m.STATUS, Buffer.alloc(0), (payload) => JSON.parse(payload.toString('utf8')), signal);
  }

  /** Each new head behind the size since; goes on where it was when the connection breaks. */
  async *watch(since = 0n) {
    const backoff = new Backoff();
    for (let known = BigInt(since); ; ) {
      try {
        for await (const told of this.#stream(m.WATCH, m.watch(known), m.decodeWatched)) {
          if (told.first !== known + 1n || told.head.size <= known)
            throw new ProtocolError(`told of entries ${told.first} to ${told.head.size} behind ${known}`);
          known = told.head.size;
          backoff.reset();
          yield told;
        }
      } catch (error) {
        if (!retryable(error) || this.#closed) throw error;
        await sleep(backoff.next(error.retryAfterMs));
      }
    }
  }
}

// What promise becomes, unless signal aborts before it.
function abortable(promise, signal, Failure) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(new Failure('aborted by the caller', { cause: signal.reason }));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function batchOf(entries, flags) {
  const batch = new Batch(flags);
  for (const entry of entries) batch.add(entry);
  return batch;
}
