// The shapes of the events and of the demo's HTTP answers that the pages read.

export type Status = 'SENT' | 'IN_PROGRESS' | 'READY' | 'DELIVERED' | 'CANCELED';

export interface OrderItem {
  id: string;
  name: string;
  quantity: number;
  modifiers?: unknown;
  notes?: string | null;
  /** A backend may leave it out of a new order: then the item has just been sent. */
  status?: Status;
}

export interface Order {
  tabId: string;
  tabNumber?: number;
  /** ISO 8601; left out by a backend that publishes at once. */
  timestamp?: string;
  items: OrderItem[];
}

export interface OrderUpdated {
  tabItemId: string;
  tabId: string;
  status: Status;
  timestamp: string;
}

export interface ItemAdded {
  tabId: string;
  item: { id: string; name: string; quantity: number; priceCents: number };
}

export interface Tab {
  id: string;
  tabNumber: number;
  table: string | null;
}

export interface Dish {
  menuItemId: string;
  name: string;
  priceCents: number;
}

export interface VenueState {
  venue: { id: string; name: string };
  tabs: Tab[];
  menu: Dish[];
  orders: Order[];
}

export interface Failure {
  code: string;
  message: string;
}

export type Ack = { ok: true } | { ok: false; error: Failure };
