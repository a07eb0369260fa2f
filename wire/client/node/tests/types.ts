// What the declarations promise: compiled by tsc, not run.
import { Batch, Batcher, Client, OutcomeUnknownError, uuid7, type Entry } from '../index.js';

export async function use(): Promise<bigint> {
  const client = await Client.connect('/run/ledger/ledger.sock', { tokenFile: '/run/ledger/token', serverUids: [0] });
  const entry: Entry = { kind: 'Transfer', account: 'a', counterparty: 'b', amount: 250n, nonce: uuid7() };
  try {
    const result = await client.append([entry], { balances: true, signal: AbortSignal.timeout(1000) });
    const batcher = new Batcher(client, { size: 100 });
    const { seq, duplicate } = await batcher.add(entry);
    for await (const [batch, answer] of client.appendAll([new Batch()])) console.log(batch.length, answer.accepted, duplicate);
    for await (const told of client.watch()) return told.head.size + seq + result.outcome(0).seq;
    // @ts-expect-error an amount is no string
    await client.append([{ ...entry, amount: '250' }]);
  } catch (error) {
    if (error instanceof OutcomeUnknownError) console.log(error.batch.length);
  } finally {
    await client.close();
  }
  return 0n;
}
