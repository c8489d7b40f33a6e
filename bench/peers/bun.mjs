import { Server as Engine } from '@socket.io/bun-engine';
import { Server } from 'socket.io';
import { serveRestaurant } from './restaurant.mjs';

const io = new Server();
const engine = new Engine({ path: '/socket.io/', pingInterval: 25_000, pingTimeout: 60_000 });
io.bind(engine);
serveRestaurant(io);

export default { port: Number(process.env.PORT), hostname: '127.0.0.1', ...engine.handler() };
