import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KitchenStatus, NewOrder } from '../shared/types';
import { NOTHING, noticeText, reduce, type Change, type Display } from './display';

const order = (id: string): NewOrder & { timestamp: string } => ({
  venueId: 'v', tabId: 't', timestamp: '2026-01-01T12:00:00.000Z', items: [{ id, name: id, quantity: 1 }],
});
const ordered = (id: string, offset = id): Change => ({ order: order(id), offset });
const snapshot = (...ids: string[]): Change => ({
  snapshot: {
    venueId: 'v', offset: 's',
    orders: ids.map((id) => ({ ...order(id), items: [{ id, name: id, quantity: 1, status: 'SENT' as KitchenStatus }] })),
  },
});
const all = (changes: Change[], display: Display = NOTHING) => changes.reduce(reduce, display);
const told = ({ notice }: Display) => notice && noticeText(notice);
const shown = ({ kitchen }: Display) => kitchen.tickets.map(({ key }) => key);

test('after a recovery the missed tickets are counted, each once, until all are there', () => {
  const away = all([snapshot('a'), { away: true }]);
  assert.equal(away.notice?.phase, 'away');
  // Socket.IO's own server sends what was missed before the client counts as connected.
  const display = all([ordered('b'), { returned: 'caught up' }, ordered('a'), ordered('c')], away);
  assert.equal(told(display), 'Back online — caught up on 2 tickets');
  const later = all([{ over: 'counting' }, ordered('d')], display);
  assert.equal(told(later), 'Back online — caught up on 2 tickets');
  assert.equal(told(all([{ over: 'telling' }], later)), null);
});

test('loaded anew, the tickets are told that are new, and those that are done are gone', () => {
  const display = all([snapshot('a', 'b'), { away: true }, { returned: 'anew' }, snapshot('b', 'c')]);
  assert.deepEqual(shown(display), ['b', 'c']);
  assert.equal(told(display), 'Back online — all loaded anew, 1 ticket new');
});

test('a page that starts has not been away', () => {
  assert.equal(all([{ returned: 'anew' }, snapshot('a')]).notice, null);
});

test('the snapshot is right, whatever events said before it', () => {
  const started = all([snapshot('a'), { update: { tabItemId: 'a', tabId: 't', status: 'DELIVERED', timestamp: '' }, offset: '2' }]);
  assert.deepEqual(shown(started), []);
  assert.deepEqual(shown(all([snapshot('a')], started)), ['a']);
});

test('the place in the log is that of the last event that has one', () => {
  assert.equal(all([snapshot()]).offset, 's');
  assert.equal(all([snapshot(), ordered('a', '5'), ordered('b', '')]).offset, '5');
});

test('the bell rings for tickets that come as events, once for each', () => {
  assert.equal(all([snapshot('a'), ordered('a'), ordered('b'), ordered('b')]).rung, 1);
});
