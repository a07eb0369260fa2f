// Where the server is, who is calling, who has to answer, and how long to pause.

import { lstatSync, readFileSync, statSync } from 'node:fs';
import { LedgerError, ServerIdentityError } from './errors.js';

export const BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 2000;

/** The bytes of a token that is written as text. No error repeats any of it. */
export function parseToken(text) {
  const encoded = text.trim();
  if (!encoded.startsWith('rl1_')) throw new LedgerError('a token starts with rl1_');
  if (!/^[A-Za-z0-9_-]+$/.test(encoded.slice(4))) throw new LedgerError('what follows rl1_ is not base64url');
  const token = Buffer.from(encoded.slice(4), 'base64url');
  if (token.length === 0 || token.length > 4096) throw new LedgerError('a token has 1 to 4096 bytes');
  return token;
}

export class Options {
  constructor(socketPath, { token = '', tokenFile = '', name = '', serverUids, connectTimeoutMs = 5000, maxInflight = 64 } = {}) {
    if (typeof socketPath !== 'string' || socketPath === '') throw new TypeError('socketPath is empty');
    if (token && tokenFile) throw new TypeError('token and tokenFile exclude each other');
    if (!/^[\x20-\x7e]{0,64}$/.test(name)) throw new TypeError('name is at most 64 bytes of printable ASCII');
    Object.assign(this, { socketPath, token, tokenFile, name, serverUids, connectTimeoutMs, maxInflight });
  }

  /** The token as bytes, empty for none. A file is read each time. */
  readToken() {
    let text = this.token;
    if (this.tokenFile) {
      try {
        text = readFileSync(this.tokenFile, 'latin1');
      } catch (error) {
        if (error.code !== 'ENOENT') throw new LedgerError(`read the token: ${error.message}`);
      }
    }
    return text.trim() ? parseToken(text) : Buffer.alloc(0);
  }

  /**
   * Throws unless the socket's file, and the folder in which it lies, belong to one of serverUids or to root, and
   * nobody else can put a file there. Node cannot ask the kernel who is at the other end of a connection.
   */
  checkServer() {
    if (!this.serverUids) return;
    const socket = lstatSync(this.socketPath);
    const folder = statSync(this.socketPath.replace(/\/?[^/]*$/, '') || (this.socketPath.startsWith('/') ? '/' : '.'));
    if (!socket.isSocket() || !this.serverUids.includes(socket.uid))
      throw new ServerIdentityError(`${this.socketPath} belongs to uid ${socket.uid}, expected one of ${this.serverUids}`);
    if (folder.uid !== 0 && !this.serverUids.includes(folder.uid))
      throw new ServerIdentityError(`the folder of ${this.socketPath} belongs to uid ${folder.uid}`);
    if (folder.mode & 0o002 && !(folder.mode & 0o1000))
      throw new ServerIdentityError(`anyone can replace ${this.socketPath}: its folder is writable for all`);
  }
}

/** The pauses between tries: each twice as long as the one before, of which a random half is left out. */
export class Backoff {
  #pause = 0;
  next(atLeastMs = 0) {
    this.#pause = Math.min(Math.max(2 * this.#pause, BACKOFF_MIN_MS), BACKOFF_MAX_MS);
    return Math.max((this.#pause / 2) * (1 + Math.random()), atLeastMs);
  }
  reset() { this.#pause = 0; }
}
