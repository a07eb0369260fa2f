// What can go wrong, as classes. Every error of this package is a LedgerError.

export const REASONS = [
  , 'unauth', 'cap_invalid', 'unknown_kind', 'policy_denied', 'busy', 'too_large', 'timeout', 'internal', 'malformed',
  'conflict', 'insufficient_funds', 'unbalanced', 'unknown_ref', 'already_reversed', 'overflow', 'safe_mode',
  'disk_pressure', 'draining',
];

/** The name of a reason; one that a newer server has added is reason_N. */
export const reasonName = (number) => REASONS[number] ?? `reason_${number}`;

export class LedgerError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Bytes that the format does not allow; offset counts from the start of what was checked. */
export class Fault extends LedgerError {
  constructor(reason, offset, detail) {
    super(`${reason} at byte ${offset}: ${detail}`);
    Object.assign(this, { reason, offset, detail });
  }
}

/** The server refused a whole request, or the connection. Nothing of a refused append was booked. */
export class ReasonError extends LedgerError {
  constructor(reason, detail = '', offset = 0, retryAfterMs = 0) {
    super(detail ? `${reason}: ${detail}` : reason);
    Object.assign(this, { reason, detail, offset, retryAfterMs });
  }
}

/** An entry of a Batcher was judged and not booked. */
export class RejectedError extends LedgerError {
  constructor(reason, detail, offset) {
    super(detail ? `${reason}: ${detail}` : reason);
    Object.assign(this, { reason, detail, offset });
  }
}

/** The request did not reach the server: nothing of it was booked. */
export class DisconnectedError extends LedgerError {}

/** No answer will come to a request that was sent, or may have been. */
export class LostError extends LedgerError {}

export class ClosedError extends LedgerError {}

/** The server sent what the protocol does not allow. */
export class ProtocolError extends LedgerError {}

/** The file of the socket does not belong to an expected uid. Nothing was sent. */
export class ServerIdentityError extends LedgerError {}

/** Another ledger answers than the one that may have booked an append: to send it again could book it twice. */
export class LedgerReplacedError extends LedgerError {}

/** Records were asked for that the server no longer holds. */
export class ForgottenError extends LedgerError {
  constructor(first, oldest) {
    super(`entries from ${first} are forgotten, the oldest that the server holds is ${oldest}`);
    Object.assign(this, { first, oldest });
  }
}

/** An append was sent, or may have been, and was not answered. Appending batch again tells what became of it. */
export class OutcomeUnknownError extends LedgerError {
  constructor(batch, cause) {
    super(`append of ${batch.length} entries: outcome unknown: ${cause?.message ?? cause}`, { cause });
    this.batch = batch;
  }
}

const passing = new Set(['busy', 'draining', 'timeout']);

/** Whether the same request can succeed later. */
export function retryable(error) {
  if (error instanceof ReasonError) return passing.has(error.reason);
  return error instanceof DisconnectedError || error instanceof LostError;
}

/** Whether another token could help. */
export const wantsNewToken = (error) =>
  error instanceof ReasonError && (error.reason === 'unauth' || error.reason === 'cap_invalid');
