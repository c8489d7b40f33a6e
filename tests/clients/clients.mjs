// The clients by name. Each is `{ socket, log }` (socket.io-client) or `{ raw, log }` (a bare websocket).
const clients = new Map();

export function client(name) {
  const found = clients.get(name);
  if (!found) throw new Error(`no client ${name}`);
  return found;
}

export function stockClient(name) {
  const { socket } = client(name);
  if (!socket) throw new Error(`${name} is a bare websocket`);
  return socket;
}

export function startingWith(prefix) {
  return [...clients].filter(([name]) => name.startsWith(prefix));
}

// A name that is used again drops its former client.
export function put(name, added) {
  if (clients.has(name)) hangUp(clients.get(name));
  clients.set(name, added);
}

export function hangUp({ socket, raw }) {
  socket?.disconnect();
  raw?.close();
}

export function isConnected({ socket, raw }) {
  return socket ? socket.connected : raw.readyState === raw.OPEN;
}
