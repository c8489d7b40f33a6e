import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { cleanup, configure, render, renderHook, screen, waitFor } from '@testing-library/react';
import { onRenewal, renewalCount, setSession } from './fakes/next-auth';
import { invalidationCount } from './fakes/trpc';
import { Service } from './service';
import { KitchenDisplay } from '@/components/KitchenDisplay';
import { useSocket } from '@/hooks/useSocket';
import { useTabRealtime } from '@/hooks/useTabRealtime';

configure({ asyncUtilTimeout: 10_000 });

const soundCount = () => (globalThis as unknown as { soundCount: number }).soundCount;

const [TAB, OTHER_TAB, VENUE] = ['ctab000000001', 'ctab000000002', 'cvenue0000001'];
const USER = { id: 'cuser00000001' };
const added = (tabId: string) => ({
  tabId, venueId: VENUE, item: { id: 'c', name: 'Burger', quantity: 1, priceCents: 1500 }, newSubtotal: 0, newTax: 0, newTotal: 0,
});
const order = (id: string, minute = 1) => ({
  tabId: TAB, venueId: VENUE, timestamp: new Date(minute * 60_000).toISOString(),
  items: [{ id, name: `Dish ${id}`, quantity: 1, status: 'SENT' as const }],
});

let service: Service;
let losses = 0;
const joins = () => service.count('tab:join') + service.count('kitchen:join');
const leaves = () => service.count('tab:leave') + service.count('kitchen:leave');

beforeEach(async () => {
  service = await Service.start();
  process.env.NEXT_PUBLIC_SOCKET_URL = service.url;
  onRenewal(() => null);
  setSession({ accessToken: 'first', user: USER, expires: '' });
  // What the hooks say is meant for a browser's console; on losing a connection they say one line.
  console.log = () => void (losses += 1);
  console.error = () => {};
});
afterEach(async () => {
  cleanup();
  await service.stop();
});

/** Cuts the connection, does something while it is away, and waits for its return. */
async function whileAway(action: () => void) {
  const [connects, before] = [service.tokens.length, losses];
  service.dropAll();
  await waitFor(() => assert.deepEqual([service.connections, losses], [0, before + 1]));
  action();
  await waitFor(() => assert.equal(service.tokens.length, connects + 1));
}

async function enterTab() {
  const hook = renderHook(({ tabId }) => useTabRealtime(tabId), { initialProps: { tabId: TAB } });
  const before = invalidationCount();
  await waitFor(() => assert.equal(joins(), 1));
  await waitFor(() => assert.equal(invalidationCount(), before + 1));
  // Socket.IO's own server recovers only those who have seen an event.
  service.emit(`tab:${TAB}`, 'tab:item-added', added(TAB));
  await waitFor(() => assert.equal(invalidationCount(), before + 2));
  return hook;
}

test('what came while the connection was away reaches the handlers, without a join or a leave', async () => {
  await enterTab();
  const before = invalidationCount();
  await whileAway(() => {
    service.emit(`tab:${TAB}`, 'tab:item-added', added(TAB));
    service.emit(`tab:${TAB}`, 'tab:status-changed', { ...added(TAB), oldStatus: 'OPEN', newStatus: 'CLOSING' });
    service.emit(`tab:${OTHER_TAB}`, 'tab:item-added', added(OTHER_TAB));
  });
  await waitFor(() => assert.equal(invalidationCount(), before + 2));
  assert.deepEqual([joins(), leaves()], [1, 0]);
});

test('a session that is not recovered joins again and reads again', async () => {
  await enterTab();
  const before = invalidationCount();
  const { port } = service;
  await service.stop();
  service = await Service.start(port);
  await waitFor(() => assert.equal(joins(), 1));
  await waitFor(() => assert.equal(invalidationCount(), before + 1));
});

test('another tab leaves the first, unless the connection is away', async () => {
  const hook = await enterTab();
  hook.rerender({ tabId: OTHER_TAB });
  await waitFor(() => assert.deepEqual([joins(), leaves()], [2, 1]));
  await whileAway(() => hook.rerender({ tabId: TAB }));
  // Recovered, and yet a join: this room was chosen while it was away.
  await waitFor(() => assert.equal(joins(), 3));
  assert.equal(leaves(), 1);
});

test('a tab that closes leads to its receipt', async () => {
  await enterTab();
  service.emit(`tab:${TAB}`, 'tab:closed', { tabId: OTHER_TAB, receiptUrl: '#other' });
  service.emit(`tab:${TAB}`, 'tab:closed', { tabId: TAB, receiptUrl: '#receipt' });
  await waitFor(() => assert.equal(window.location.hash, '#receipt'));
});

test('the kitchen display starts from the snapshot, catches up, and rings once for each order', async () => {
  service.orders = [order('c1', 1)];
  render(<KitchenDisplay venueId={VENUE} />);
  await screen.findByText(/Dish c1/);
  const before = soundCount();
  service.emit(`kitchen:${VENUE}`, 'kitchen:new-order', order('c1', 1));
  service.emit(`kitchen:${VENUE}`, 'kitchen:new-order', order('c2', 2));
  await screen.findByText(/Dish c2/);
  await whileAway(() => {
    service.emit(`kitchen:${VENUE}`, 'kitchen:new-order', order('c3', 3));
    service.emit(`kitchen:${VENUE}`, 'kitchen:order-updated', { tabItemId: 'c1', tabId: TAB, status: 'DELIVERED' });
  });
  await screen.findByText(/Dish c3/);
  await waitFor(() => assert.equal(screen.queryByText(/Dish c1/), null));
  assert.equal(soundCount(), before + 2);
  assert.deepEqual([joins(), leaves()], [1, 0]);
});

test('a tap without a connection is told, and not kept for later', async () => {
  service.orders = [order('c1')];
  render(<KitchenDisplay venueId={VENUE} />);
  const bump = await screen.findByText('Bump');
  await waitFor(() => assert.equal(screen.queryByRole('alert'), null));
  await whileAway(() => bump.click());
  await screen.findByText('Not connected');
  bump.click();
  await waitFor(() => assert.equal(service.count('kitchen:bump'), 1));
});

test('a newer token leaves the connection alone, and serves when the old one has run out', async () => {
  const hook = renderHook(() => useSocket());
  await waitFor(() => assert.ok(hook.result.current.connected));
  const { socket } = hook.result.current;
  setSession({ accessToken: 'second', user: USER, expires: '' });
  service.endAll({ code: 'TOKEN_EXPIRED', message: 'Token expired' });
  await waitFor(() => assert.deepEqual(service.tokens, ['first', 'second']));
  await waitFor(() => assert.ok(hook.result.current.connected));
  assert.equal(hook.result.current.socket, socket);
});

test('a token that is refused is renewed', async () => {
  service.refuse.add('first');
  onRenewal(() => ({ accessToken: 'second', user: USER, expires: '' }));
  const hook = renderHook(() => useSocket());
  await waitFor(() => assert.ok(hook.result.current.connected));
  assert.deepEqual(service.tokens, ['first', 'second']);
  assert.equal(renewalCount(), 1);
});

test('another user gets a connection of its own', async () => {
  const hook = renderHook(() => useSocket());
  await waitFor(() => assert.ok(hook.result.current.connected));
  const { socket } = hook.result.current;
  setSession({ accessToken: 'theirs', user: { id: 'cuser00000002' }, expires: '' });
  await waitFor(() => assert.ok(hook.result.current.socket !== socket && hook.result.current.connected));
  assert.equal(socket?.connected, false);
  setSession(null);
  await waitFor(() => assert.equal(hook.result.current.socket, null));
  await waitFor(() => assert.equal(service.connections, 0));
});
