// The display over a reload of its page: kept in the browser's tab, with its place in the log,
// so that the server sends what came meanwhile, and the tickets are there before it answers.
import { AWAY, NOTHING, type Display } from './display';

const VERSION = 1;
const keyOf = (venue: string) => `expeditor:kitchen:${venue}`;

export function keep(venue: string, { kitchen, offset }: Display): void {
  try {
    sessionStorage.setItem(keyOf(venue), JSON.stringify({ version: VERSION, offset, tickets: kitchen.tickets }));
  } catch {
    // Full, or not allowed: the next page starts from the snapshot.
  }
}

export function kept(venue: string): Display {
  try {
    const { version, offset, tickets } = JSON.parse(sessionStorage.getItem(keyOf(venue)) ?? '{}');
    if (version !== VERSION || !offset) return NOTHING;
    return { ...NOTHING, offset, kitchen: { tickets, statuses: new Map() }, notice: AWAY };
  } catch {
    return NOTHING;
  }
}
