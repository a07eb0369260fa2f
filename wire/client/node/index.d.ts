// The types of ron-ledger-client. Numbers of the ledger (sequence numbers, sizes, amounts) are BigInt.

export type Kind = 'Credit' | 'Debit' | 'Transfer' | 'Mint' | 'Burn' | 'Hold' | 'Reverse' | 'Release' | 'Capture';

/** One movement. Without a nonce one is made: keep yours, and repeat the same entry with it. */
export interface Entry {
  kind: Kind;
  account: string;
  /** In the smallest unit, above zero; a number only where it is a safe integer. */
  amount: bigint | number;
  counterparty?: string;
  /** Up to 8 of A-Z 0-9 . -; absent: the unnamed unit. */
  asset?: string;
  /** 16 bytes. */
  nonce?: Uint8Array;
  /** The nonce of the earlier entry that a Reverse, Release or Capture names. */
  ref?: Uint8Array;
  /** Unix milliseconds; absent: now. */
  ts?: number | bigint;
  memo?: string | Uint8Array;
}

export interface Head { size: bigint; root: Buffer; timeMs: number }
export interface Balance { account: string; asset: string; available: bigint; held: bigint }
export interface Result {
  index: number;
  outcome: 'duplicate' | 'rejected';
  reason: string;
  offset: number;
  seq: bigint;
  detail: string;
}
export interface LedgerRecord {
  seq: bigint;
  timeMs: number;
  entry: Required<Omit<Entry, 'kind' | 'ref' | 'amount' | 'nonce' | 'memo' | 'ts'>> & {
    kind: Kind | 'Epoch'; amount: bigint; nonce: Buffer; ref: Buffer | undefined; ts: number; memo: Buffer;
  };
  capabilityId: Buffer;
  keyId: Buffer;
  /** What the leaf hashes: the entry and the stamp behind it. */
  raw: Buffer;
}
export interface AccountAnswer { size: bigint; root: Buffer; known: boolean; goesOn: boolean; balances: Balance[] }
export interface RootsAnswer { next: bigint; roots: Head[]; checkpoint: Buffer }
export interface Proof {
  consistency: boolean; seq: bigint; size: bigint; root: Buffer; hashes: Buffer[]; record: Buffer; checkpoint: Buffer;
}
export interface Watched { first: bigint; head: Head }
export interface Welcome {
  version: number; maxFrame: number; maxInflight: number; maxEntries: number; logId: Buffer; epoch: bigint; head: Head;
  server: string; hash: string; profile: string; verifyKey: string; token: Buffer; rights: string[];
}

export interface BatchOptions {
  /** All entries next to each other, or none. */
  atomic?: boolean;
  /** Ask for what the touched accounts hold afterwards. */
  balances?: boolean;
  /** Ask what would become of the entries; nothing is booked. */
  dryRun?: boolean;
  /** The identity of an atomic batch as a whole: 16 bytes. */
  idemId?: Uint8Array;
}

/** The entries of one append. It can be appended again; not twice at the same time. */
export class Batch {
  constructor(options?: BatchOptions);
  add(entry: Entry): number;
  addRaw(entry: Buffer): number;
  readonly length: number;
  readonly size: number;
  /** Gives the memory back. The batch cannot be used afterwards. */
  release(): void;
}

/** What became of a batch: what it counts as booked is durable and covered by root. */
export class AppendResult {
  private constructor();
  readonly first: bigint;
  readonly last: bigint;
  readonly size: bigint;
  readonly root: Buffer;
  readonly accepted: number;
  readonly results: Result[];
  readonly balances: Balance[];
  /** An atomic batch of which nothing is booked. */
  readonly refused: boolean;
  /** It was sent more than once: what is a duplicate may be its own. */
  readonly resent: boolean;
  outcome(index: number): { seq: bigint; result: Result | undefined };
}

export interface ClientOptions {
  /** A token as text; not with tokenFile. */
  token?: string;
  /** A file with a token, read at every connect and again when the server refuses the token. */
  tokenFile?: string;
  /** For the server's log. */
  name?: string;
  /** The uids that may own the socket's file and its folder; absent: not checked. */
  serverUids?: number[];
  connectTimeoutMs?: number;
  maxInflight?: number;
}
export interface CallOptions { signal?: AbortSignal }

export class Client {
  constructor(socketPath: string, options?: ClientOptions);
  static connect(socketPath: string, options?: ClientOptions): Promise<Client>;
  readonly welcome: Welcome | null;
  append(entries: Batch | Iterable<Entry>, options?: BatchOptions & CallOptions): Promise<AppendResult>;
  appendAll(
    batches: Iterable<Batch> | AsyncIterable<Batch>, options?: { window?: number } & CallOptions,
  ): AsyncGenerator<[Batch, AppendResult], void>;
  find(account: string, nonce: Uint8Array, options?: CallOptions): Promise<LedgerRecord | undefined>;
  account(name: string, options?: CallOptions): Promise<AccountAnswer>;
  accounts(prefix?: string, after?: string): AsyncGenerator<Balance, void>;
  entries(first?: bigint | number, last?: bigint): AsyncGenerator<LedgerRecord, void>;
  roots(since?: bigint, options?: { limit?: number; waitMs?: number } & CallOptions): Promise<RootsAnswer>;
  prove(seq: bigint | number, options?: { size?: bigint } & CallOptions): Promise<Proof>;
  status(options?: CallOptions): Promise<Record<string, unknown>>;
  watch(since?: bigint | number): AsyncGenerator<Watched, never>;
  close(): Promise<void>;
}

export interface BatcherOptions extends CallOptions { size?: number; lingerMs?: number; inflight?: number }
export class Batcher {
  constructor(client: Client, options?: BatcherOptions);
  ready(): Promise<void>;
  add(entry: Entry): Promise<{ seq: bigint; duplicate: boolean }>;
  flush(): void;
  close(): Promise<void>;
}

export function uuid7(): Buffer;
export const TO_HEAD: bigint;

export class LedgerError extends Error {}
export class Fault extends LedgerError { reason: string; offset: number; detail: string }
export class ReasonError extends LedgerError { reason: string; detail: string; offset: number; retryAfterMs: number }
export class RejectedError extends LedgerError { reason: string; detail: string; offset: number }
export class DisconnectedError extends LedgerError {}
export class ClosedError extends LedgerError {}
export class ProtocolError extends LedgerError {}
export class ServerIdentityError extends LedgerError {}
export class LedgerReplacedError extends LedgerError {}
export class ForgottenError extends LedgerError { first: bigint; oldest: bigint }
export class OutcomeUnknownError extends LedgerError { batch: Batch; cause: unknown }
