// One connection that has said HELLO: requests out, each answer to the promise that waits for it.

import { connect } from 'node:net';
import { DEFAULT_MAX_FRAME, frame, parseHeader } from './codec.js';
import { ClosedError, DisconnectedError, Fault, LedgerError, LostError, ProtocolError, ReasonError, wantsNewToken } from './errors.js';
import * as m from './messages.js';

const HANDSHAKE_ID = 1;

export class Link {
  #socket;
  #rest = null; // bytes of a frame that is not whole
  #id = HANDSHAKE_ID;
  #maxFrame = DEFAULT_MAX_FRAME;
  #calls = new Map();
  lost = null; // why the connection is
  welcome = null;

  constructor(options, token) {
    this.token = token;
    this.#socket = connect(options.socketPath);
    this.#socket.on('data', (data) => this.#receive(data));
    this.#socket.on('error', (error) => this.fail(error));
    this.#socket.on('close', () => this.fail(new Error('the server closed the connection')));
    this.closed = new Promise((resolve) => this.#socket.once('close', resolve));
    this.greeting = new Promise((resolve, reject) => this.#calls.set(HANDSHAKE_ID, { resolve, reject, type: m.WELCOME }));
    // A server that turns a connection away says why and closes. To write then is an error that ends reading too, so
    // what there is to read is read first.
    this.#socket.once('connect', () => setImmediate(() => setImmediate(() => {
      if (!this.lost) this.#socket.write(frame(m.HELLO, HANDSHAKE_ID, m.hello(token, options.name)));
    })));
  }

  /** Takes the answer to HELLO. */
  async greet() {
    const welcome = m.decodeWelcome(await this.greeting);
    if (welcome.version !== 1) throw new ProtocolError(`the server chose version ${welcome.version}`);
    this.#maxFrame = Math.max(DEFAULT_MAX_FRAME, welcome.maxFrame);
    this.welcome = welcome;
  }

  /** Sends a request; the promise has the payload of its answer. */
  call(type, payload) {
    return this.#post(type + 1, (id) => frame(type, id, payload));
  }

  append(batch) {
    return this.#post(m.APPENDED, (id) => batch.frame(id));
  }

  #post(type, frameOf) {
    if (this.lost) return Promise.reject(new DisconnectedError(`not sent: ${this.lost.message}`));
    const id = ++this.#id;
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, type });
      this.#socket.write(frameOf(id));
    });
  }

  /** Sends a request whose answer has several frames, and yields their payloads. Reading waits for the loop. */
  async *stream(type, payload) {
    const parts = [];
    let wake = () => {};
    const id = ++this.#id;
    const push = (part) => {
      parts.push(part);
      if (parts.length > 16) this.#socket.pause();
      wake();
    };
    this.#calls.set(id, {
      type: type + 1, resolve: (payload, more) => push({ payload, more }), reject: (error) => push({ error }),
    });
    this.#socket.write(frame(type, id, payload));
    for (let more = true; more; ) {
      if (parts.length === 0) {
        this.#socket.resume();
        await new Promise((resolve) => { wake = resolve; });
      }
      const part = parts.shift();
      if (part.error) throw part.error instanceof LostError ? new DisconnectedError(part.error.message) : part.error;
      ({ more } = part);
      yield part.payload;
    }
  }

  #receive(data) {
    const b = this.#rest === null ? data : Buffer.concat([this.#rest, data]);
    let at = 0;
    try {
      while (b.length - at >= 16 && !this.lost) {
        const header = parseHeader(b, at, this.#maxFrame);
        const end = at + 16 + header.length;
        if (end > b.length) break;
        this.#dispatch(header, b.subarray(at + 16, end));
        at = end;
      }
    } catch (error) {
      this.fail(error instanceof Fault ? new ProtocolError(error.message) : error);
    }
    this.#rest = at === b.length ? null : b.subarray(at);
  }

  #dispatch({ type, flags, id }, payload) {
    if (flags & 1) throw new ProtocolError('a compressed answer to a client that never compresses');
    if (type === m.ERROR) {
      const e = m.decodeError(payload);
      const error = new ReasonError(e.reason, e.detail, e.offset, e.retryAfterMs);
      if (id === 0) throw error;
      this.#take(id).reject(error);
      return;
    }
    const more = (flags & 2) !== 0;
    const call = more ? this.#calls.get(id) : this.#take(id);
    if (call === undefined) throw new ProtocolError(`an answer to request ${id}, which is not under way`);
    if (call.type !== type) {
      const error = new ProtocolError(`frame ${type} where ${call.type} was expected`);
      call.reject(error);
      throw error;
    }
    call.resolve(payload, more);
  }

  #take(id) {
    const call = this.#calls.get(id);
    if (call === undefined) throw new ProtocolError(`an answer to request ${id}, which is not under way`);
    this.#calls.delete(id);
    return call;
  }

  /** Ends the connection and tells all who wait. */
  fail(error) {
    if (this.lost) return;
    this.lost = error;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) {
      const lost = new LostError(error.message, { cause: error });
      call.reject(call.type === m.WELCOME ? error : lost);
    }
    this.#socket.destroy();
  }

  /** Ends the connection; those who wait are told why: by default, for good. */
  close(why = new ClosedError('client is closed')) {
    this.fail(why);
    return this.closed;
  }
}

/** Connects and says HELLO; tries again when the token was refused and its file holds another one by now. */
export async function dial(options) {
  for (;;) {
    const token = options.readToken();
    let link, timer;
    try {
      options.checkServer();
      link = new Link(options, token);
      timer = setTimeout(() => link.fail(new Error('no answer to HELLO in time')), options.connectTimeoutMs);
      await link.greet();
      return link;
    } catch (error) {
      await link?.close();
      if (wantsNewToken(error) && options.tokenFile && !options.readToken().equals(token)) continue;
      if (error instanceof Fault) throw new ProtocolError(error.message);
      if (error instanceof LedgerError) throw error;
      throw new DisconnectedError(`connect to ${options.socketPath}: ${error.message}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}
