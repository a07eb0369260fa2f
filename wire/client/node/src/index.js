export { AppendResult, Batch } from './batch.js';
export { Batcher } from './batcher.js';
export { Client } from './client.js';
export { uuid7 } from './codec.js';
export {
  ClosedError, DisconnectedError, Fault, ForgottenError, LedgerError, LedgerReplacedError, OutcomeUnknownError, ProtocolError,
  ReasonError, RejectedError, ServerIdentityError,
} from './errors.js';
export { TO_HEAD } from './messages.js';
