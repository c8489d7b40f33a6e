import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TabState } from '../shared/types';
import { NOTHING, isClosed, isInKitchen, progress, reduce } from './tab';

const state = (status = 'OPEN', itemStatus = 'SENT'): TabState => ({
  venue: { name: 'Bistro One' },
  tab: { id: 't', tabNumber: 1, table: 'A1', status, subtotalCents: 1500, taxCents: 105, tipCents: 0, totalCents: 1605 },
  items: [{ id: 'a', name: 'Burger', quantity: 1, priceCents: 1500, status: itemStatus }],
});
const added = (id: string) => ({
  tabId: 't', venueId: 'v', item: { id, name: 'Fries', quantity: 2, priceCents: 600 }, newSubtotal: 2700, newTax: 189, newTotal: 2889,
});
const closed = (receiptUrl: string) => ({ tabId: 't', venueId: 'v', totalCents: 3000, tipCents: 111, receiptUrl });
const open = reduce(NOTHING, { read: state() });

test('an item that is added shows at once with the new total, and once', () => {
  const two = reduce(open, { added: added('b') });
  assert.deepEqual(two.state?.items.map(({ id, status }) => `${id} ${status}`), ['a SENT', 'b SENT']);
  assert.equal(two.state?.tab.totalCents, 2889);
  assert.deepEqual(reduce(two, { added: added('b') }), two);
});

test('what comes before the first reading is in it', () => {
  assert.equal(reduce(NOTHING, { added: added('b') }), NOTHING);
});

test('a closed tab stays closed, with its totals, whatever is read meanwhile', () => {
  const paid = reduce(open, { closed: closed('https://bistro.example/receipt/1') });
  assert.ok(isClosed(paid));
  const again = reduce(paid, { read: state('OPEN', 'DELIVERED') });
  assert.deepEqual([isClosed(again), again.state?.tab.totalCents, again.state?.tab.tipCents], [true, 3000, 111]);
  assert.equal(again.receipt, 'https://bistro.example/receipt/1');
  assert.ok(isClosed(reduce(open, { status: { tabId: 't', venueId: 'v', oldStatus: 'OPEN', newStatus: 'CLOSED', trigger: '' } })));
});

test('a receipt is a page of the web', () => {
  const receipt = (url: string) => reduce(open, { closed: closed(url) }).receipt;
  assert.deepEqual(['/r/1', 'http://b.example', 'javascript:alert(1)', '//b.example', ''].map(receipt), ['/r/1', 'http://b.example', null, null, null]);
});

test('the kitchen is asked as long as something is there', () => {
  assert.ok(isInKitchen(open));
  assert.ok(!isInKitchen(reduce(open, { read: state('OPEN', 'DELIVERED') })));
  assert.ok(!isInKitchen(reduce(open, { read: state('OPEN', 'CANCELED') })));
  assert.equal(progress({ ...open.state!.items[0]!, status: 'READY' }), 'On its way');
});
