// What the kitchen display shows, as a pure value: the tickets, where in the room's log they
// stand, and what there is to tell after an absence.
import { EMPTY, addOrder, addSnapshot, update, type Kitchen } from '../shared/tickets';
import type { KitchenOrders, NewOrder, Offset, OrderUpdated } from '../shared/types';

export interface Display {
  kitchen: Kitchen;
  /** Of the last event seen; what a join gives back as `since`. */
  offset: Offset;
  /** Tickets that came with events, for the bell. */
  rung: number;
  notice: Notice | null;
}

export interface Notice {
  /** Away until the room is entered again, then coming in, then all there. */
  phase: 'away' | 'counting' | 'told';
  /** Whether exactly what was missed came, rather than everything anew. */
  recovered: boolean;
  /** New to this display. */
  tickets: number;
}

export type Change =
  | { away: true }
  | { returned: 'caught up' | 'anew' }
  | { order: NewOrder; offset: Offset }
  | { update: OrderUpdated; offset: Offset }
  | { snapshot: KitchenOrders }
  | { over: 'counting' | 'telling' };

/** From here on everything is counted: a server may send what was missed even before the client counts as connected. */
export const AWAY: Notice = { phase: 'away', recovered: false, tickets: 0 };

export const NOTHING: Display = { kitchen: EMPTY, offset: '', rung: 0, notice: null };

export function reduce(display: Display, change: Change): Display {
  const now = Date.now();
  if ('away' in change) return { ...display, notice: AWAY };
  if ('returned' in change) return { ...display, notice: display.notice && { ...display.notice, phase: 'counting', recovered: change.returned === 'caught up' } };
  if ('over' in change) return { ...display, notice: display.notice && change.over === 'counting' ? { ...display.notice, phase: 'told' } : null };
  if ('snapshot' in change) return fromSnapshot(display, change.snapshot, now);
  // An event that was not stored yet has the offset before it, or none.
  const offset = change.offset || display.offset;
  if ('update' in change) return { ...display, kitchen: update(display.kitchen, change.update), offset };
  const kitchen = addOrder(display.kitchen, change.order, now);
  const added = kitchen === display.kitchen ? 0 : 1;
  return { kitchen, offset, rung: display.rung + added, notice: counted(display.notice, added) };
}

/** The snapshot follows all events that it knows of, so nothing is kept of what was known before. */
function fromSnapshot(display: Display, { orders, offset }: KitchenOrders, now: number): Display {
  const before = itemIds(display.kitchen);
  const kitchen = addSnapshot(EMPTY, orders, now);
  const added = kitchen.tickets.filter((ticket) => ticket.items.some(({ id }) => !before.has(id))).length;
  return { ...display, kitchen, offset, notice: counted(display.notice, added) };
}

function counted(notice: Notice | null, added: number): Notice | null {
  return notice && notice.phase !== 'told' ? { ...notice, tickets: notice.tickets + added } : notice;
}

function itemIds({ tickets }: Kitchen): Set<string> {
  return new Set(tickets.flatMap(({ items }) => items.map(({ id }) => id)));
}

export function noticeText({ recovered, tickets }: Notice): string {
  const count = `${tickets} ${tickets === 1 ? 'ticket' : 'tickets'}`;
  if (recovered) return tickets > 0 ? `Back online — caught up on ${count}` : 'Back online — no ticket was missed';
  return tickets > 0 ? `Back online — all loaded anew, ${count} new` : 'Back online — all loaded anew, nothing new';
}
