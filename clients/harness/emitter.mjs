// SocketEmitter in a backend, steered by lines of JSON.
import { serve } from '../../tests/clients/jsonlines.mjs';
import { HttpPublisher } from '@/lib/realtime/publish-http';
import { SocketPublisher } from '@/lib/realtime/publish-socket';
import { SocketEmitter } from '@/server/api/lib/socket-emit';

const WAYS = { socket: SocketPublisher, http: HttpPublisher };

const order = (venueId, tabId, id) => ({ venueId, tabId, items: [{ id, name: `Dish ${id}`, quantity: 1, modifiers: null, notes: '' }] });

serve({
  use: ({ way, url, secret }) => SocketEmitter.use(new WAYS[way](url, secret, { attemptMs: 3000 })),
  // Resolves when the last is stored, over whatever becomes of the service meanwhile.
  orders: async ({ venueId, tabId, ids }) => ({
    receipts: await Promise.all(ids.map((id) => SocketEmitter.emitNewOrder(order(venueId, tabId, id)))),
  }),
  itemAdded: async ({ payload }) => ({ receipt: await SocketEmitter.emitTabItemAdded(payload) }),
  tabClosed: async ({ payload }) => ({ receipt: await SocketEmitter.emitTabClosed(payload) }),
});
