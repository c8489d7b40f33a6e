// What one client has seen, in order, and those who wait for more of it.
import { Failure } from './jsonlines.mjs';

export class EventLog {
  #events = [];
  #waiting = new Set();

  add(event, args) {
    const entry = { seq: this.#events.length, event, args, at: Date.now() };
    this.#events.push(entry);
    for (const offer of this.#waiting) offer(entry);
  }

  since(from = 0, event) {
    return this.#events.slice(from).filter((entry) => event === undefined || entry.event === event);
  }

  // Resolves once there are `count` events that match.
  wait({ event, count = 1, from = 0, match, timeoutMs = 5000 }) {
    const wanted = (entry) =>
      entry.seq >= from && (event === undefined || entry.event === event) && contains(entry.args[0], match);
    const found = this.#events.filter(wanted).slice(0, count);
    const outcome = () => ({ events: found, next: found.length > 0 ? found.at(-1).seq + 1 : from });
    if (found.length >= count) return Promise.resolve(outcome());
    return new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        this.#waiting.delete(offer);
      };
      // Looks at each new event once: hundreds of clients wait for thousands of events.
      const offer = (entry) => {
        if (!wanted(entry)) return;
        found.push(entry);
        if (found.length < count) return;
        stop();
        resolve(outcome());
      };
      const giveUp = () => {
        stop();
        const last = this.#events.slice(-10).map((entry) => entry.event);
        reject(new Failure('timeout', { event, seen: found.length, last }));
      };
      const timer = setTimeout(giveUp, timeoutMs);
      this.#waiting.add(offer);
    });
  }
}

function contains(actual, expected) {
  if (expected === undefined) return true;
  if (typeof expected !== 'object' || expected === null) return actual === expected;
  if (typeof actual !== 'object' || actual === null) return false;
  return Object.entries(expected).every(([key, value]) => contains(actual[key], value));
}
