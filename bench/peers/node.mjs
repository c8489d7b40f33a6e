import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { serveRestaurant } from './restaurant.mjs';

const http = createServer((_, response) => response.end('{"status":"ok"}'));
const io = new Server(http, { pingInterval: 25_000, pingTimeout: 60_000 });
if (process.env.REDIS_URL) {
  const publisher = createClient({ url: process.env.REDIS_URL });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}
serveRestaurant(io);
http.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
