import {
  PATIENCE, gaveUp, isPassing, pause, type Numbered, type Patience, type Publisher, type Receipt,
} from './publisher';

interface Waiting {
  publish: Numbered;
  deadline: number;
  done: (receipt: Receipt) => void;
}

/** The service takes a megabyte in one message. */
const MOST_BYTES = 500_000;
const MOST = 100;

/**
 * Over `POST /api/broadcast`, for a backend that cannot hold a socket open. One request is under
 * way at a time, since two could overtake each other; what comes meanwhile goes together in the next.
 */
export class HttpPublisher implements Publisher {
  private readonly patience: Required<Patience>;
  private waiting: Waiting[] = [];
  private running = false;
  private closed = false;

  constructor(private readonly url: string, private readonly token: string, patience: Patience = {}) {
    this.patience = { ...PATIENCE, ...patience };
  }

  publish(publish: Numbered): Promise<Receipt> {
    return new Promise((done) => {
      this.waiting.push({ publish, deadline: Date.now() + this.patience.giveUpMs, done });
      if (!this.running) void this.run();
    });
  }

  close() {
    this.closed = true;
  }

  private async run() {
    this.running = true;
    while (this.waiting.length > 0) {
      const batch = takeBatch(this.waiting);
      const again = await this.send(batch);
      this.waiting.unshift(...again.filter((one) => !this.expired(one)));
      if (again.length > 0) await pause(this.patience.pauseMs);
    }
    this.running = false;
  }

  private expired({ deadline, done }: Waiting): boolean {
    const over = this.closed || Date.now() >= deadline;
    if (over) done(gaveUp());
    return over;
  }

  /** Returns those that are to be sent again. */
  private async send(batch: Waiting[]): Promise<Waiting[]> {
    let response: Response;
    let answer: unknown;
    try {
      response = await fetch(new URL('/api/broadcast', this.url), {
        method: 'POST',
        headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
        body: JSON.stringify(batch.map(({ publish }) => publish)),
        signal: AbortSignal.timeout(this.patience.attemptMs),
      });
      answer = await response.json().catch(() => null);
    } catch {
      return batch;
    }
    if (response.ok && Array.isArray(answer)) return settle(batch, answer as Receipt[]);
    if (response.status >= 500 || response.status === 429) return batch;
    if (batch.length > 1 && response.status !== 401) return this.sendEach(batch);
    const error = refusal(response.status, answer);
    batch.forEach(({ done }) => done({ ok: false, error }));
    return [];
  }

  /** One of them spoils the request for all: it alone is to be refused. */
  private async sendEach(batch: Waiting[]): Promise<Waiting[]> {
    for (const [index, one] of batch.entries()) {
      const again = await this.send([one]);
      if (again.length > 0) return batch.slice(index);
    }
    return [];
  }
}

function takeBatch(waiting: Waiting[]): Waiting[] {
  let [count, bytes] = [0, 0];
  for (const { publish } of waiting.slice(0, MOST)) {
    bytes += JSON.stringify(publish).length;
    if (count > 0 && bytes > MOST_BYTES) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

function settle(batch: Waiting[], receipts: Receipt[]): Waiting[] {
  return batch.filter(({ done }, index) => {
    const receipt = receipts[index];
    if (!receipt || (!receipt.ok && isPassing(receipt.error))) return true;
    done(receipt);
    return false;
  });
}

function refusal(status: number, answer: unknown) {
  const text = (answer as { error?: { message?: string } } | null)?.error?.message ?? `The service answered ${status}`;
  const code = status === 401 ? 'FORBIDDEN' : status === 413 ? 'TOO_LARGE' : 'INVALID_DATA';
  return { code, message: text } as const;
}
