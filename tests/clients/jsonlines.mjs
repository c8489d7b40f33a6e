// Requests and answers, one JSON object a line. Requests run side by side, so that
// one that waits holds up no other.
import { createInterface } from 'node:readline';

// `finish` runs before the process ends, on `quit` and when the input closes.
export function serve(operations, finish = () => {}) {
  const end = async () => {
    await finish();
    process.exit(0);
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const { id, op, ...request } = JSON.parse(line);
    if (op === 'quit') {
      answer({ id, ok: true });
      return end();
    }
    try {
      if (!Object.hasOwn(operations, op)) throw new Failure(`no operation ${op}`);
      answer({ id, ok: true, ...(await operations[op](request)) });
    } catch (error) {
      answer({ id, ok: false, error: String(error?.message ?? error), ...error?.details });
    }
  });
  // The test has gone, or has no more to ask.
  lines.on('close', end);
}

// On Linux a write to a pipe is synchronous: nothing piles up here, and nothing is lost on exit.
function answer(value) {
  process.stdout.write(`${JSON.stringify(value, binaryAsText)}\n`);
}

// A Buffer turns itself into an array of numbers before a replacer sees it, so it is
// looked up in its holder.
function binaryAsText(key, value) {
  const original = this[key];
  return Buffer.isBuffer(original) ? { $binary: original.toString('base64') } : value;
}

// The other direction; always a deep copy.
export function revive(value) {
  if (value?.$binary !== undefined) return Buffer.from(value.$binary, 'base64');
  if (Array.isArray(value)) return value.map(revive);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]));
}

// An error whose details become members of the answer.
export class Failure extends Error {
  constructor(message, details) {
    super(message);
    this.details = details;
  }
}
