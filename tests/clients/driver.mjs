// Stock socket.io-client clients, and bare websockets, by name.
import { io } from 'socket.io-client';
import WebSocket from 'ws';
import { Failure, serve } from './jsonlines.mjs';
import { EventLog } from './log.mjs';

const clients = new Map();

function client(name) {
  const found = clients.get(name);
  if (!found) throw new Error(`no client ${name}`);
  return found;
}

function startingWith(prefix) {
  return [...clients].filter(([name]) => name.startsWith(prefix));
}

function create({ client: name, url, auth, transports, options = {}, namespace = '/' }) {
  const target = namespace === '/' ? url : new URL(namespace, url).href;
  const socket = io(target, { forceNew: true, reconnection: false, auth, transports, ...options });
  const log = new EventLog();
  socket.on('connect', () => log.add('$connect', [socket.id, socket.recovered]));
  socket.on('disconnect', (reason, details) =>
    log.add('$disconnect', [reason, `${details?.description ?? ''}`, details?.context?.status ?? null]),
  );
  socket.on('connect_error', (error) => log.add('$connect_error', [error.message]));
  socket.onAny((event, ...args) => log.add(event, args));
  clients.get(name)?.socket?.disconnect();
  clients.set(name, { socket, log });
  return socket;
}

function outcome(socket, timeoutMs = 10_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure('neither connected nor refused')), timeoutMs);
    const settle = (value) => {
      clearTimeout(timer);
      resolve(value);
    };
    socket.once('connect', () => settle({ outcome: 'connected', socketId: socket.id, recovered: socket.recovered }));
    socket.once('connect_error', (error) => settle({ outcome: 'refused', message: error.message, data: error.data }));
  });
}

async function connectMany({ prefix, count, authList, auth, joinEvent, joinPayload, timeoutMs = 60_000, ...rest }) {
  const began = performance.now();
  const failed = [];
  let connected = 0;
  let joined = 0;
  const one = (index) => {
    const socket = create({ client: `${prefix}${index}`, auth: authList ? authList[index % authList.length] : auth, ...rest });
    return new Promise((resolve) => {
      const fail = (reason) => {
        failed.push({ client: `${prefix}${index}`, reason });
        resolve();
      };
      socket.once('connect_error', (error) => fail(error.message));
      socket.once('connect', () => {
        connected += 1;
        if (!joinEvent) return resolve();
        socket.timeout(timeoutMs).emit(joinEvent, joinPayload, (error, answer) => {
          if (error || !answer?.ok) return fail(error ? 'no acknowledgement' : JSON.stringify(answer));
          joined += 1;
          resolve();
        });
      });
    });
  };
  const all = Promise.all(Array.from({ length: count }, (_, index) => one(index)));
  await Promise.race([all, new Promise((resolve) => setTimeout(resolve, timeoutMs).unref())]);
  return { connected, joined, failed: failed.slice(0, 20), ms: performance.now() - began };
}

function revive(value) {
  if (value?.$binary !== undefined) return Buffer.from(value.$binary, 'base64');
  if (Array.isArray(value)) return value.map(revive);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revive(v)]));
  return value;
}

function emit({ client: name, event, args = [], ack = false, timeoutMs = 5000 }) {
  const { socket } = client(name);
  const values = args.map(revive);
  if (!ack) {
    socket.emit(event, ...values);
    return {};
  }
  return new Promise((resolve, reject) => {
    socket.timeout(timeoutMs).emit(event, ...values, (error, ...answer) =>
      error ? reject(new Failure('ack timeout')) : resolve({ ack: answer }),
    );
  });
}

function place(object, path, value) {
  const keys = path.split('.');
  const last = keys.pop();
  keys.reduce((inner, key) => inner[key], object)[last] = value;
}

async function emitMany({ client: name, count, event, args, ack = true, counterPath, start = 0, timeoutMs = 60_000 }) {
  const { socket } = client(name);
  const began = performance.now();
  const errors = [];
  let acked = 0;
  const one = (index) => {
    const values = structuredClone(args);
    if (counterPath) place(values[0], counterPath, start + index);
    if (!ack) return socket.emit(event, ...values);
    return new Promise((resolve) => {
      socket.timeout(timeoutMs).emit(event, ...values, (error, answer) => {
        if (!error && answer?.ok) acked += 1;
        else errors.push(error ? 'ack timeout' : answer);
        resolve();
      });
    });
  };
  await Promise.all(Array.from({ length: count }, (_, index) => one(index)));
  return { acked, errors: errors.slice(0, 20), failed: errors.length, ms: performance.now() - began };
}

function digest(list) {
  return JSON.stringify(list);
}

const operations = {
  async connect(request) {
    return outcome(create(request), request.timeoutMs);
  },
  connectMany,
  emit,
  emitMany,
  events: ({ client: name, event, from }) => ({ events: client(name).log.since(from, event) }),
  wait: ({ client: name, ...what }) => client(name).log.wait(what),
  async waitAll({ prefix, event, count, timeoutMs }) {
    const waits = startingWith(prefix).map(async ([name, { log }]) => {
      try {
        await log.wait({ event, count, timeoutMs });
      } catch (error) {
        return { name, ...error.details };
      }
    });
    const behind = (await Promise.all(waits)).filter(Boolean);
    if (behind.length > 0) throw new Failure('timeout', { behind: behind.slice(0, 5) });
    return { clients: waits.length };
  },
  // The values at `path` of every client's events, as far as they differ between clients.
  sequences({ prefix, event, path }) {
    const orders = new Map();
    let [min, max, ordered, duplicates] = [Infinity, 0, true, 0];
    const members = startingWith(prefix);
    for (const [, { log }] of members) {
      const list = log.since(0, event).map((entry) => path.split('.').reduce((value, key) => value?.[key], entry.args[0]));
      orders.set(digest(list), list);
      min = Math.min(min, list.length);
      max = Math.max(max, list.length);
      ordered &&= list.every((value, index) => index === 0 || value > list[index - 1]);
      duplicates += list.length - new Set(list).size;
    }
    const shown = [...orders.values()].slice(0, 2);
    return { clients: members.length, distinctOrders: orders.size, orders: shown, lengths: { min, max }, ordered, duplicates };
  },
  state: ({ client: name }) => {
    const { socket } = client(name);
    return { connected: socket.connected, socketId: socket.id, transport: socket.io.engine?.transport?.name };
  },
  counts: ({ prefix }) => {
    const members = startingWith(prefix);
    return { connected: members.filter(([, { socket }]) => socket?.connected).length, total: members.length };
  },
  dropTransport: ({ client: name }) => void client(name).socket.io.engine.close(),
  disconnect: ({ client: name }) => void client(name).socket.disconnect(),
  disconnectAll: ({ prefix }) => startingWith(prefix).forEach(([, { socket }]) => socket?.disconnect()),
  rawWebsocket({ client: name, url, headers, timeoutMs = 5000 }) {
    const raw = new WebSocket(url, { headers, handshakeTimeout: timeoutMs });
    const log = new EventLog();
    clients.set(name, { raw, log });
    raw.on('message', (data, isBinary) => {
      const text = isBinary ? data.toString('base64') : data.toString();
      // Engine.IO's ping; a client that is alive answers it.
      if (text === '2') raw.send('3');
      else log.add('$frame', [text]);
    });
    raw.on('close', (code, reason) => log.add('$close', [code, reason.toString()]));
    return new Promise((resolve) => {
      raw.on('open', () => resolve({ outcome: 'open' }));
      raw.on('unexpected-response', (_, response) => {
        resolve({ outcome: 'refused', status: response.statusCode });
        raw.terminate();
      });
      raw.on('error', (error) => resolve({ outcome: 'failed', message: error.message }));
    });
  },
  rawSend({ client: name, text, binaryBase64, textRepeat }) {
    const { raw } = client(name);
    if (binaryBase64 !== undefined) raw.send(Buffer.from(binaryBase64, 'base64'));
    else if (textRepeat) raw.send(textRepeat.prefix + textRepeat.char.repeat(textRepeat.times) + textRepeat.suffix);
    else raw.send(text);
  },
  rawPause: ({ client: name }) => void client(name).raw.pause(),
};

serve(operations);
