import type { KitchenOrders, NewOrder, NewOrderItem, OrderUpdated } from './events';

export interface KitchenOrder {
  tabId: string;
  items: Array<{
    id: string;
    name: string;
    quantity: number;
    modifiers: unknown;
    notes: string;
    status: string;
  }>;
  timestamp: Date;
}

/** Newest first, as the display shows them. A tab that orders again has a second one. */
export type Orders = readonly KitchenOrder[];

/** What identifies an order on the display. */
export const orderKey = (order: KitchenOrder) => order.items[0]?.id ?? order.tabId;

/** The items that the display has already are left out: an order may come in the snapshot and as an event. */
export function addOrder(orders: Orders, order: NewOrder, now: Date): Orders {
  const shown = new Set(orders.flatMap(({ items }) => items.map(({ id }) => id)));
  const items = order.items.filter(({ id }) => !shown.has(id)).map(toItem);
  if (items.length === 0) return orders;
  const added = { tabId: order.tabId, items, timestamp: order.timestamp ? new Date(order.timestamp) : now };
  return [added, ...orders].sort((a, b) => b.timestamp.getTime() - a.timestamp.getTime());
}

/** The server's word: it follows every event that it knows of. */
export function fromSnapshot({ orders }: KitchenOrders, now: Date): Orders {
  return orders.reduce<Orders>((all, order) => addOrder(all, { venueId: '', ...order }, now), []);
}

/** Items that are delivered leave the display, and an order with its last one. */
export function applyUpdate(orders: Orders, update: OrderUpdated): Orders {
  return orders
    .map((order) => (order.tabId === update.tabId ? { ...order, items: order.items.flatMap(changed) } : order))
    .filter((order) => order.items.length > 0);

  function changed(item: KitchenOrder['items'][number]) {
    if (item.id !== update.tabItemId) return [item];
    return update.status === 'DELIVERED' ? [] : [{ ...item, status: update.status }];
  }
}

function toItem({ id, name, quantity, modifiers, notes, status }: NewOrderItem): KitchenOrder['items'][number] {
  return { id, name, quantity, modifiers: modifiers ?? null, notes: notes ?? '', status: status ?? 'SENT' };
}
