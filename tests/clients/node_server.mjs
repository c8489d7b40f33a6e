// A Socket.IO server on Node with the Redis adapter, and an emitter, as a house has them that moves to
// this service, or back. Steered by lines of JSON.
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { Emitter } from '@socket.io/redis-emitter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';
import { serve } from './jsonlines.mjs';

let io, emitter;

function quiet(client) {
  client.on('error', () => {});
  return client;
}

async function start({ redis }) {
  const publisher = quiet(new Redis(redis));
  const subscriber = quiet(publisher.duplicate());
  emitter = new Emitter(quiet(publisher.duplicate()));
  const http = createServer();
  io = new Server(http, { adapter: createAdapter(publisher, subscriber, { requestsTimeout: 3000 }) });
  io.on('connection', (socket) => socket.on('enter', (room, done) => Promise.resolve(socket.join(room)).then(() => done({ ok: true }))));
  io.on('ask', (...args) => args.at(-1)('node'));
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  while ((await publisher.call('PUBSUB', 'NUMSUB', 'socket.io-request#/#'))[1] < 1) await new Promise(setImmediate);
  return { port: http.address().port };
}

// As an application writes it: one call for each room, and none where there is none.
function to(source, { rooms = [], except = [], volatile = false }) {
  let chosen = source;
  for (const room of rooms) chosen = chosen.to(room);
  for (const room of except) chosen = chosen.except(room);
  return volatile ? chosen.volatile : chosen;
}

// JSON has no binary data: `{ $bytes: [1, 2] }` stands for it.
function binary(value) {
  if (Array.isArray(value)) return value.map(binary);
  if (value === null || typeof value !== 'object') return value;
  if (value.$bytes) return Buffer.from(value.$bytes);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, binary(member)]));
}

serve({
  start,
  emit: ({ event, args, ...where }) => void to(io, where).emit(event, ...binary(args)),
  // Those with an odd number are not for everybody.
  emitMany: ({ room, first, count, except = [], by = 'server' }) => {
    const source = by === 'emitter' ? emitter : io;
    for (let n = first; n < first + count; n += 1) to(source, { rooms: [room], except: n % 2 ? except : [] }).emit('e', { n });
  },
  emitterEmit: ({ event, args, ...where }) => void to(emitter, where).emit(event, ...binary(args)),
  fetchSockets: async ({ rooms = [] }) => {
    const sockets = await (rooms.length ? io.in(rooms) : io).fetchSockets();
    return { sockets: sockets.map(({ id, rooms: entered, handshake }) => ({ id, rooms: [...entered], auth: handshake.auth })) };
  },
  allRooms: async () => ({ rooms: [...(await io.of('/').adapter.allRooms())] }),
  socketsJoin: ({ rooms, join }) => void io.in(rooms).socketsJoin(join),
  socketsLeave: ({ rooms, leave }) => void io.in(rooms).socketsLeave(leave),
  disconnectSockets: ({ rooms }) => void io.in(rooms).disconnectSockets(true),
  serverSideEmit: async () => ({ answers: await io.serverSideEmitWithAck('ask') }),
  emitWithAck: async ({ event, args, ...where }) => ({ answers: await to(io.timeout(3000), where).emitWithAck(event, ...binary(args)) }),
});
