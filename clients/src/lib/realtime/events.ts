// Every event in both directions, for the generics of socket.io-client:
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io(url, …)
// This file imports nothing, so that pages and backends of any kind can use it.

export const ROOM = {
  tab: (tabId: string) => `tab:${tabId}` as const,
  venue: (venueId: string) => `venue:${venueId}` as const,
  kitchen: (venueId: string) => `kitchen:${venueId}` as const,
  user: (userId: string) => `user:${userId}` as const,
  table: (tableId: string) => `table:${tableId}` as const,
};

export type Room = ReturnType<(typeof ROOM)[keyof typeof ROOM]>;

/** An event's place in the log, to be kept and given back, not to be read. `''` where there is none yet. */
export type Offset = string;

// What the backend publishes.

export interface TabItemAdded {
  tabId: string;
  venueId: string;
  item: { id: string; name: string; quantity: number; priceCents: number };
  newSubtotal: number;
  newTax: number;
  newTotal: number;
}

export interface TabStatusChanged {
  tabId: string;
  venueId: string;
  oldStatus: string;
  newStatus: string;
  trigger: string;
}

export interface TabClosed {
  tabId: string;
  venueId: string;
  totalCents: number;
  tipCents: number;
  receiptUrl: string;
}

export interface NewOrderItem {
  id: string;
  name: string;
  quantity: number;
  /** Whatever JSON the application stores. */
  modifiers?: unknown;
  notes?: string | null;
  /** Left out by a backend that publishes at once: then it is `SENT`. */
  status?: KitchenStatus;
}

export interface NewOrder {
  venueId: string;
  tabId: string;
  items: NewOrderItem[];
  /** ISO 8601. */
  timestamp?: string;
}

export interface Notification {
  id: string;
  type: string;
  title: string;
  message: string;
  actionUrl?: string;
}

// What the service makes itself.

export type KitchenStatus = 'SENT' | 'IN_PROGRESS' | 'READY' | 'DELIVERED';

export interface OrderUpdated {
  tabItemId: string;
  tabId: string;
  status: KitchenStatus;
  /** ISO 8601 in UTC, with milliseconds. */
  timestamp: string;
}

/** A tab with items that are not delivered yet. */
export interface OpenOrder {
  tabId: string;
  venueId?: string;
  timestamp: string;
  items: Array<NewOrderItem & { status: KitchenStatus }>;
}

/** The kitchen as it stands, oldest order first; follows `kitchen:joined` where no replay does. */
export interface KitchenOrders {
  venueId: string;
  orders: OpenOrder[];
  offset: Offset;
}

export type ErrorCode =
  | 'INVALID_DATA'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'RATE_LIMITED'
  | 'TOKEN_EXPIRED'
  | 'TOO_LARGE'
  | 'TOO_MANY_ROOMS'
  | 'UNAVAILABLE'
  | 'INTERNAL';

export interface Failure {
  code: ErrorCode;
  message: string;
  /** With `INVALID_DATA`: the member at fault. */
  field?: string;
  /** With `RATE_LIMITED`. */
  retryAfterMs?: number;
}

/** The `error` event: an event that failed, a room that was taken away, or a session about to end. */
export interface ErrorEvent extends Failure {
  event?: string;
  room?: Room;
}

/** An event that a room carries. Its offset comes last; a handler may leave it out. */
type RoomEvent<Payload> = (payload: Payload, offset: Offset) => void;

export interface ServerToClientEvents {
  'tab:item-added': RoomEvent<TabItemAdded>;
  'tab:status-changed': RoomEvent<TabStatusChanged>;
  'tab:closed': RoomEvent<TabClosed>;
  'kitchen:new-order': RoomEvent<NewOrder>;
  'kitchen:order-updated': RoomEvent<OrderUpdated>;
  'notification:new': RoomEvent<Notification>;
  'kitchen:orders': (state: KitchenOrders) => void;
  'tab:joined': (reply: { tabId: string }) => void;
  'venue:joined': (reply: { venueId: string }) => void;
  'kitchen:joined': (reply: { venueId: string }) => void;
  'table:joined': (reply: { tableId: string }) => void;
  'kitchen:bumped': (reply: { tabItemId: string }) => void;
  'notification:read-success': (reply: { notificationId: string }) => void;
  error: (error: ErrorEvent) => void;
}

/** What an acknowledgement says. */
export type Answer<Reply = object> = ({ ok: true } & Reply) | { ok: false; error: Failure };

/** With a join that was granted. */
export interface Entered {
  /** Where the room's log stands. */
  offset: Offset;
  /** With `since`: whether everything after it follows. If not, what the page has is to be read anew. */
  complete?: boolean;
}

interface Since {
  /** The last offset that the page has seen of this room. */
  since?: Offset;
}

export interface Publish<Payload = unknown> {
  room?: Room;
  rooms?: Room[];
  event: string;
  payload?: Payload;
  /** The publisher's own name for it: a repeat within 24 hours delivers nothing twice. */
  id?: string;
  /** Not kept for those who are away. */
  volatile?: boolean;
}

export interface Published {
  id: string;
  offset: Offset;
  /** False while the database is away: delivered, and not stored yet. */
  durable: boolean;
}

type Command<Payload, Reply> = { payload: Payload; reply: Reply };

/** Every event that a client may send: its payload, and what comes back with `ok: true`. */
export interface Commands {
  'tab:join': Command<{ tabId: string } & Since, { tabId: string } & Entered>;
  'tab:leave': Command<{ tabId: string }, object>;
  'venue:join': Command<{ venueId: string } & Since, { venueId: string } & Entered>;
  'venue:leave': Command<{ venueId: string }, object>;
  'kitchen:join': Command<{ venueId: string } & Since, { venueId: string } & Entered>;
  'kitchen:leave': Command<{ venueId: string }, object>;
  'table:join': Command<{ tableId: string } & Since, { tableId: string } & Entered>;
  'table:leave': Command<{ tableId: string }, object>;
  'kitchen:update-status': Command<{ tabItemId: string; status: KitchenStatus }, object>;
  'kitchen:bump': Command<{ tabItemId: string }, { tabItemId: string }>;
  'notification:read': Command<{ notificationId: string }, { notificationId: string }>;
  broadcast: Command<Publish, Published>;
}

export type ClientToServerEvents = {
  [Event in keyof Commands]: (
    payload: Commands[Event]['payload'],
    acknowledge?: (answer: Answer<Commands[Event]['reply']>) => void,
  ) => void;
};
