import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addOrder, applyUpdate, fromSnapshot, type Orders } from '@/lib/realtime/kitchen';

const NOW = new Date(3_600_000);
const order = (minute: number, ...ids: string[]) => ({
  venueId: 'v', tabId: 't', timestamp: new Date(minute * 60_000).toISOString(),
  items: ids.map((id) => ({ id, name: id, quantity: 1, status: 'SENT' as const })),
});
const ids = (orders: Orders) => orders.map(({ items }) => items.map(({ id }) => id).join());

test('newest first, each item once', () => {
  const snapshot = fromSnapshot({ venueId: 'v', orders: [order(1, 'a', 'b'), order(2, 'c')], offset: '' }, NOW);
  assert.deepEqual(ids(snapshot), ['c', 'a,b']);
  assert.equal(addOrder(snapshot, order(1, 'b', 'a'), NOW), snapshot);
  assert.deepEqual(ids(addOrder(snapshot, order(3, 'b', 'd'), NOW)), ['d', 'c', 'a,b']);
});

test('an item that is delivered leaves, and its order with the last one', () => {
  const update = (tabItemId: string, status: 'READY' | 'DELIVERED') => ({ tabItemId, tabId: 't', status, timestamp: '' });
  const both = addOrder([], order(1, 'a', 'b'), NOW);
  assert.equal(applyUpdate(both, update('a', 'READY'))[0]?.items[0]?.status, 'READY');
  const one = applyUpdate(both, update('a', 'DELIVERED'));
  assert.deepEqual(ids(one), ['b']);
  assert.deepEqual(applyUpdate(one, update('b', 'DELIVERED')), []);
});
