// The specification's server, as far as the benchmark uses it: tokens, joining a tab,
// broadcast. Database look-ups are answered from memory.
import { jwtVerify } from 'jose';

const secret = new TextEncoder().encode(process.env.NEXTAUTH_SECRET);
const venue = 'cvenuebench0000000000001';

async function identify(token) {
  if (token === process.env.SOCKET_SERVER_SECRET) return { id: 'system', role: 'SYSTEM', venues: [] };
  const { payload } = await jwtVerify(token, secret);
  return { id: payload.sub, role: 'SERVER', venues: [venue] };
}

export function serveRestaurant(io) {
  io.use(async (socket, next) => {
    try {
      socket.data.user = await identify(socket.handshake.auth.token);
      next();
    } catch {
      next(new Error('Authentication failed'));
    }
  });
  io.on('connection', (socket) => {
    const { user } = socket.data;
    socket.join(`user:${user.id}`);
    socket.on('tab:join', async ({ tabId }, answer) => {
      await Promise.resolve();
      if (!user.venues.includes(venue)) return socket.emit('error', { message: 'Access denied to tab' });
      socket.join(`tab:${tabId}`);
      socket.emit('tab:joined', { tabId });
      answer?.({ ok: true, tabId });
    });
    socket.on('broadcast', ({ room, event, payload }) => {
      if (user.role !== 'SYSTEM') return socket.emit('error', { message: 'Unauthorized broadcast' });
      io.to(room).emit(event, payload);
    });
  });
}
