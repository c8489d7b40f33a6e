import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY, addOrder, addSnapshot, elapsedLabel, forgetStatuses, nextStatus, replaceWith, update, urgency } from './tickets';
import type { Order, Status } from './types';

const order = (id: string, minute: number, status?: Status): Order => ({
  tabId: 'tab',
  timestamp: new Date(minute * 60_000).toISOString(),
  items: [{ id, name: 'Burger', quantity: 1, modifiers: ['NO ONIONS', { extra: 1 }], status }],
});
const change = (tabItemId: string, status: Status) => ({ tabItemId, tabId: 'tab', status, timestamp: '' });
const keys = (kitchen: typeof EMPTY) => kitchen.tickets.map((ticket) => ticket.key);

test('tickets stand oldest first, whatever the order in which they come', () => {
  const kitchen = [order('b', 2), order('a', 1), order('c', 3)].reduce((k, o) => addOrder(k, o, 0), EMPTY);
  assert.deepEqual(keys(kitchen), ['a', 'b', 'c']);
});

test('an order that comes twice is one ticket', () => {
  const once = addOrder(EMPTY, order('a', 1), 0);
  assert.equal(addSnapshot(once, [order('a', 1)], 0), once);
});

test('an item that is delivered goes, and its ticket with the last one', () => {
  const both: Order = { tabId: 'tab', items: [{ id: 'a', name: 'A', quantity: 1 }, { id: 'b', name: 'B', quantity: 1 }] };
  const one = update(addOrder(EMPTY, both, 0), change('a', 'DELIVERED'));
  assert.deepEqual(one.tickets[0]?.items.map((item) => item.id), ['b']);
  assert.deepEqual(keys(update(one, change('b', 'CANCELED'))), []);
});

test('an older snapshot brings nothing back and undoes nothing', () => {
  const kitchen = update(addOrder(EMPTY, order('a', 1), 0), change('a', 'READY'));
  assert.equal(replaceWith(kitchen, [order('a', 1, 'SENT')], 0).tickets[0]?.items[0]?.status, 'READY');
  const gone = update(kitchen, change('a', 'DELIVERED'));
  assert.deepEqual(keys(replaceWith(gone, [order('a', 1, 'SENT')], 0)), []);
});

test('after an absence the snapshot is right', () => {
  const kitchen = forgetStatuses(update(addOrder(EMPTY, order('a', 1), 0), change('a', 'IN_PROGRESS')));
  assert.equal(replaceWith(kitchen, [order('a', 1, 'READY')], 0).tickets[0]?.items[0]?.status, 'READY');
});

test('a ticket that the snapshot does not have is gone', () => {
  assert.deepEqual(keys(replaceWith(addOrder(EMPTY, order('a', 1), 0), [order('b', 2)], 0)), ['b']);
});

test('modifiers of any form are readable', () => {
  assert.deepEqual(addOrder(EMPTY, order('a', 1), 0).tickets[0]?.items[0]?.modifiers, ['NO ONIONS', '{"extra":1}']);
});

test('time is told in minutes and by colour', () => {
  assert.equal(elapsedLabel(-5), '00:00');
  assert.equal(elapsedLabel(65_000), '01:05');
  assert.equal(elapsedLabel(3_665_000), '1:01:05');
  assert.deepEqual([0, 300_000, 600_000].map(urgency), ['calm', 'soon', 'late']);
});

test('a tap starts, finishes, then bumps', () => {
  assert.deepEqual((['SENT', 'IN_PROGRESS', 'READY'] as Status[]).map(nextStatus), ['IN_PROGRESS', 'READY', 'DELIVERED']);
});
