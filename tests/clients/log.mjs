// What one client has seen, in order, and those who wait for more of it.
import { Failure } from './jsonlines.mjs';

export class EventLog {
  #events = [];
  #waiting = new Set();

  add(event, args) {
    this.#events.push({ seq: this.#events.length, event, args });
    for (const check of [...this.#waiting]) check();
  }

  since(from = 0, event) {
    return this.#events.slice(from).filter((entry) => !event || entry.event === event);
  }

  // Resolves once there are `count` events that match.
  wait({ event, count = 1, from = 0, match, timeoutMs = 5000 }) {
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        settle(value);
      };
      const check = () => {
        const found = this.since(from, event).filter((entry) => contains(entry.args[0], match));
        if (found.length < count) return;
        const events = found.slice(0, count);
        finish(resolve, { events, next: (events.at(-1)?.seq ?? from - 1) + 1 });
      };
      const fail = () => {
        const last = this.#events.slice(-10).map((entry) => entry.event);
        finish(reject, new Failure('timeout', { event, seen: this.since(from, event).length, last }));
      };
      const timer = setTimeout(fail, timeoutMs);
      this.#waiting.add(check);
      check();
    });
  }
}

function contains(actual, expected) {
  if (expected === undefined) return true;
  if (typeof expected !== 'object' || expected === null) return actual === expected;
  return Object.entries(expected).every(([key, value]) => contains(actual?.[key], value));
}
