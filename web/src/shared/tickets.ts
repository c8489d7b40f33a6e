// What the kitchen has to do, as a pure value: orders and updates in, tickets out.
import type { KitchenStatus, Order, OrderItem, Status } from './types';

export interface TicketItem {
  id: string;
  name: string;
  quantity: number;
  modifiers: string[];
  notes: string;
  status: Status;
}

export interface Ticket {
  /** Items of one tab that came together. */
  key: string;
  tabId: string;
  since: number;
  items: TicketItem[];
}

export interface Kitchen {
  tickets: Ticket[];
  /** The newest state known of each item; it outlives the item's ticket, so that an
   *  older snapshot that arrives late brings nothing back. */
  statuses: ReadonlyMap<string, Status>;
}

export const EMPTY: Kitchen = { tickets: [], statuses: new Map() };

const REMEMBERED = 2000;

export function isDone(status: Status): boolean {
  return status === 'DELIVERED' || status === 'CANCELED';
}

/** A new order, or one of a snapshot. Items that are there already stay as they are. */
export function addOrder(kitchen: Kitchen, order: Order, now: number): Kitchen {
  const shown = new Set(kitchen.tickets.flatMap((ticket) => ticket.items.map((item) => item.id)));
  const items = order.items
    .filter((item) => !shown.has(item.id))
    .map((item) => toTicketItem(item, kitchen.statuses))
    .filter((item) => !isDone(item.status));
  const first = items[0];
  if (!first) return kitchen;
  const since = order.timestamp ? Date.parse(order.timestamp) : now;
  const ticket = { key: first.id, tabId: order.tabId, since: Number.isNaN(since) ? now : since, items };
  const tickets = [...kitchen.tickets, ticket].sort((a, b) => a.since - b.since);
  return { ...kitchen, tickets };
}

export function addSnapshot(kitchen: Kitchen, orders: Order[], now: number): Kitchen {
  return orders.reduce((result, order) => addOrder(result, order, now), kitchen);
}

/** A fresh start from a snapshot, keeping what events have said since `forgetStatuses`. */
export function replaceWith(kitchen: Kitchen, orders: Order[], now: number): Kitchen {
  return addSnapshot({ tickets: [], statuses: kitchen.statuses }, orders, now);
}

/** Before a snapshot is asked for after an absence: what was known before is older than it. */
export function forgetStatuses(kitchen: Kitchen): Kitchen {
  return { ...kitchen, statuses: new Map() };
}

export function update(kitchen: Kitchen, change: { tabItemId: string; status: Status }): Kitchen {
  const statuses = new Map(kitchen.statuses);
  statuses.delete(change.tabItemId);
  statuses.set(change.tabItemId, change.status);
  const oldest = statuses.keys().next();
  if (statuses.size > REMEMBERED && !oldest.done) statuses.delete(oldest.value);
  const tickets = kitchen.tickets
    .map((ticket) => ({
      ...ticket,
      items: ticket.items
        .map((item) => (item.id === change.tabItemId ? { ...item, status: change.status } : item))
        .filter((item) => !isDone(item.status)),
    }))
    .filter((ticket) => ticket.items.length > 0);
  return { tickets, statuses };
}

/** What a tap on an item asks for. */
export function nextStatus(status: Status): KitchenStatus {
  return status === 'SENT' ? 'IN_PROGRESS' : status === 'IN_PROGRESS' ? 'READY' : 'DELIVERED';
}

export type Urgency = 'calm' | 'soon' | 'late';

const SOON_MS = 5 * 60_000;
const LATE_MS = 10 * 60_000;

export function urgency(elapsedMs: number): Urgency {
  return elapsedMs >= LATE_MS ? 'late' : elapsedMs >= SOON_MS ? 'soon' : 'calm';
}

/** mm:ss, or h:mm:ss from an hour on. */
export function elapsedLabel(elapsedMs: number): string {
  const seconds = Math.max(0, Math.floor(elapsedMs / 1000));
  const pad = (value: number) => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const rest = `${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

function toTicketItem(item: OrderItem, statuses: ReadonlyMap<string, Status>): TicketItem {
  return {
    id: item.id,
    name: item.name,
    quantity: item.quantity,
    modifiers: modifierTexts(item.modifiers),
    notes: item.notes ?? '',
    status: statuses.get(item.id) ?? item.status ?? 'SENT',
  };
}

/** The application stores any JSON as an item's modifiers. */
function modifierTexts(modifiers: unknown): string[] {
  if (modifiers === null || modifiers === undefined) return [];
  const list = Array.isArray(modifiers) ? modifiers : [modifiers];
  return list.map((entry) => (typeof entry === 'string' ? entry : JSON.stringify(entry)));
}
