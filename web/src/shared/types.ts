// The events, from the client library, and the demo's HTTP answers.
export type * from '../../../clients/src/lib/realtime/events';

/** An item's state. The application may cancel one; the service itself never does. */
export type Status = 'SENT' | 'IN_PROGRESS' | 'READY' | 'DELIVERED' | 'CANCELED';

/** An order as the pages take it: from an event, a snapshot, or put together from items. */
export interface Order {
  tabId: string;
  /** ISO 8601; left out by a backend that publishes at once. */
  timestamp?: string;
  items: OrderItem[];
}

export interface OrderItem {
  id: string;
  name: string;
  quantity: number;
  modifiers?: unknown;
  notes?: string | null;
  /** A backend may leave it out of a new order: then the item has just been sent. */
  status?: Status;
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

export interface TabState {
  venue: { name: string };
  tab: Tab & { status: string; subtotalCents: number; taxCents: number; tipCents: number; totalCents: number };
  items: TabItem[];
}

export interface TabItem {
  id: string;
  name: string;
  quantity: number;
  /** Of one. */
  priceCents: number;
  status: string;
}
