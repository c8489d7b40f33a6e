// A guest's tab as a pure value: what was read of it, and what events have changed since.
import type { TabClosed, TabItem, TabItemAdded, TabState, TabStatusChanged } from '../shared/types';

export interface GuestTab {
  state: TabState | null;
  /** Where the receipt is, once the tab has closed. */
  receipt: string | null;
}

export type Change = { read: TabState } | { added: TabItemAdded } | { status: TabStatusChanged } | { closed: TabClosed };

export const NOTHING: GuestTab = { state: null, receipt: null };

const CLOSED = ['CLOSED', 'AUTO_CLOSED', 'WALK_AWAY', 'CANCELED'];

export const isClosed = ({ state }: GuestTab) => state !== null && CLOSED.includes(state.tab.status);

export function reduce(tab: GuestTab, change: Change): GuestTab {
  if ('read' in change) return { ...tab, state: read(tab, change.read) };
  const { state } = tab;
  // Whatever came before the first reading is in it.
  if (!state) return tab;
  if ('added' in change) return { ...tab, state: add(state, change.added) };
  if ('status' in change) return { ...tab, state: withTab(state, { status: change.status.newStatus }) };
  const { totalCents, tipCents, receiptUrl } = change.closed;
  return { state: withTab(state, { status: 'CLOSED', totalCents, tipCents }), receipt: link(receiptUrl) };
}

/** A closed tab stays closed: the backend may tell of it before it stores it. */
function read(tab: GuestTab, state: TabState): TabState {
  if (!isClosed(tab) || isClosed({ state, receipt: null })) return state;
  const { status, totalCents, tipCents } = tab.state!.tab;
  return withTab(state, { status, totalCents, tipCents });
}

function add(state: TabState, { item, newSubtotal, newTax, newTotal }: TabItemAdded): TabState {
  if (state.items.some(({ id }) => id === item.id)) return state;
  const items = [...state.items, { ...item, status: 'SENT' }];
  return withTab({ ...state, items }, { subtotalCents: newSubtotal, taxCents: newTax, totalCents: newTotal });
}

function withTab(state: TabState, change: Partial<TabState['tab']>): TabState {
  return { ...state, tab: { ...state.tab, ...change } };
}

/** Only a page of the web is offered to be opened. */
function link(url: string): string | null {
  return /^(https?:\/\/|\/(?!\/))/.test(url) ? url : null;
}

/** Something may still change without an event: the kitchen tells the staff's rooms of its progress, not the guest's. */
export function isInKitchen({ state }: GuestTab): boolean {
  return state !== null && state.items.some(({ status }) => status in PROGRESS && status !== 'DELIVERED');
}

const PROGRESS: Record<string, string> = {
  PENDING: 'Ordered',
  SENT: 'In the kitchen',
  IN_PROGRESS: 'Being prepared',
  READY: 'On its way',
  DELIVERED: 'Served',
};

export const progress = ({ status }: TabItem): string => PROGRESS[status] ?? 'Canceled';
