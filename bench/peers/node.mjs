import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { serveRestaurant } from './restaurant.mjs';

const http = createServer((_, response) => response.end('{"status":"ok"}'));
serveRestaurant(new Server(http, { pingInterval: 25_000, pingTimeout: 60_000 }));
http.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 4096 });
