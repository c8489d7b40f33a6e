// Requests and answers, one JSON object a line. Requests run side by side, so that
// one that waits holds up no other.
import { createInterface } from 'node:readline';

export function serve(operations) {
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const { id, op, ...request } = JSON.parse(line);
    try {
      if (!(op in operations)) throw new Error(`no operation ${op}`);
      answer({ id, ok: true, ...(await operations[op](request)) });
    } catch (error) {
      answer({ id, ok: false, error: String(error?.message ?? error), ...error?.details });
    }
  });
  // The test has gone, or has no more to ask.
  lines.on('close', () => process.exit(0));
}

function answer(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export class Failure extends Error {
  constructor(message, details) {
    super(message);
    this.details = details;
  }
}
