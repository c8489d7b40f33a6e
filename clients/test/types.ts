// Compiled, never run: what the types must take, and what they must not.
import { io, type Socket } from 'socket.io-client';
import { useSocket } from '@/hooks/useSocket';
import { useTabRealtime } from '@/hooks/useTabRealtime';
import { ask } from '@/lib/realtime/ask';
import { ROOM, type ClientToServerEvents, type ServerToClientEvents } from '@/lib/realtime/events';
import { SocketEmitter } from '@/server/api/lib/socket-emit';

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io('http://localhost:3002');

socket.on('kitchen:new-order', (order) => order.items.map((item) => item.quantity + 1));
socket.on('kitchen:order-updated', ({ status }, offset) => `${status} ${offset.length}`);
socket.on('kitchen:orders', ({ orders, offset }) => orders.map((order) => order.timestamp + offset));
socket.on('error', ({ code, message, room }) => code === 'FORBIDDEN' && `${message} ${room}`);
// @ts-expect-error there is no such event
socket.on('kitchen:newOrder', () => {});
// @ts-expect-error the payload has no such member
socket.on('tab:closed', ({ total }) => total);
// @ts-expect-error an offset is not a number
socket.on('tab:closed', (_tab, offset: number) => offset);
// @ts-expect-error `kitchen:orders` carries its offset inside
socket.on('kitchen:orders', (_orders, offset: string) => offset);

socket.emit('tab:join', { tabId: 'ctab' });
socket.emit('kitchen:join', { venueId: 'cvenue', since: 'kept' }, (answer) => {
  if (answer.ok) return `${answer.venueId} ${answer.offset} ${answer.complete}`;
  // @ts-expect-error a refusal has no offset
  return `${answer.error.code} ${answer.offset}`;
});
// @ts-expect-error a tab's id is called tabId
socket.emit('tab:join', { id: 'ctab' });
// @ts-expect-error not one of the four
socket.emit('kitchen:update-status', { tabItemId: 'citem', status: 'COOKED' });
// @ts-expect-error a leave takes no offset
socket.emit('tab:leave', { tabId: 'ctab', since: 'kept' });
// @ts-expect-error a room of another form
socket.emit('broadcast', { room: 'bar:1', event: 'x' });
socket.emit('broadcast', { rooms: [ROOM.tab('ctab'), ROOM.user('u')], event: 'x', payload: 1, volatile: true });

void ask(socket, 'kitchen:bump', { tabItemId: 'citem' }).then((answer) => answer.ok && answer.tabItemId.length);
// @ts-expect-error only an answer that is ok has the reply
void ask(socket, 'kitchen:bump', { tabItemId: 'citem' }).then((answer) => answer.tabItemId);
// @ts-expect-error a leave that is ok has nothing more to say
void ask(socket, 'tab:leave', { tabId: 'ctab' }).then((answer) => answer.ok && answer.tabId);
// @ts-expect-error not an error code
void ask(socket, 'tab:join', { tabId: 'c' }).then((answer) => !answer.ok && answer.error.code === 'GONE');

// The specification's signatures.
export const state: { socket: Socket | null; connected: boolean } = null! as ReturnType<typeof useSocket>;
export const tab: (tabId: string) => void = useTabRealtime;
export const emitNewOrder: (payload: {
  venueId: string;
  tabId: string;
  items: Array<{ id: string; name: string; quantity: number; modifiers: any; notes: string }>;
}) => void = SocketEmitter.emitNewOrder;
export const emitNotification: (payload: {
  userId: string;
  notification: { id: string; type: string; title: string; message: string; actionUrl?: string };
}) => void = SocketEmitter.emitNotification;
// @ts-expect-error a notification needs its user
void SocketEmitter.emitNotification({ notification: { id: '', type: '', title: '', message: '' } });
