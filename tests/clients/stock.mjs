// Operations on stock socket.io-client clients.
import { Agent } from 'node:http';
import { io } from 'socket.io-client';
import { put, stockClient } from './clients.mjs';
import { Failure, revive } from './jsonlines.mjs';
import { EventLog } from './log.mjs';

function create({ client: name, url, auth, transports, options = {}, namespace = '/' }) {
  const target = namespace === '/' ? url : new URL(namespace, url).href;
  // Behaves as the library's own default, a connection for each request, but can be told to end them.
  const agent = new Agent();
  const socket = io(target, { forceNew: true, reconnection: false, agent, auth, transports, ...options });
  const log = new EventLog();
  socket.on('connect', () => log.add('$connect', [socket.id, socket.recovered]));
  socket.on('disconnect', (reason, details) =>
    log.add('$disconnect', [reason, `${details?.description ?? ''}`, details?.context?.status ?? null]),
  );
  socket.on('connect_error', (error) => log.add('$connect_error', [error.message]));
  socket.onAny((event, ...args) => log.add(event, args));
  put(name, { socket, log });
  return socket;
}

function outcome(socket, timeoutMs) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure('neither connected nor refused')), timeoutMs);
    const settle = (value) => {
      clearTimeout(timer);
      resolve(value);
    };
    socket.once('connect', () => settle({ outcome: 'connected', socketId: socket.id, recovered: socket.recovered }));
    socket.once('connect_error', ({ message, data }) => settle({ outcome: 'refused', message, data }));
  });
}

async function connect({ wait = true, timeoutMs = 10_000, ...request }) {
  const socket = create(request);
  return wait ? outcome(socket, timeoutMs) : {};
}

// A refusal ends a client's attempts, a transport's failure only where it is not to reconnect.
function retries(socket) {
  return socket.active && socket.io.reconnection();
}

// Connects one client and joins in its 'connect' handler. `progress` tells at any time how far it is.
function connectAndJoin(request, { joinEvent, joinPayload, timeoutMs }) {
  const progress = { client: request.client, connected: false, joined: false, reason: 'timeout' };
  const socket = create(request);
  const settled = new Promise((settle) => {
    const fail = (reason) => {
      progress.reason = reason;
      settle();
    };
    const join = () =>
      socket.timeout(timeoutMs).emit(joinEvent, joinPayload, (error, answer) => {
        if (error || !answer?.ok) return fail(error ? 'no acknowledgement' : JSON.stringify(answer));
        progress.joined = true;
        settle();
      });
    socket.on('connect_error', (error) => {
      if (!retries(socket)) fail(error.message);
      else progress.reason = error.message;
    });
    socket.once('connect', () => {
      progress.connected = true;
      progress.reason = 'no acknowledgement';
      if (joinEvent) join();
      else settle();
    });
    socket.once('disconnect', (reason) => {
      if (!retries(socket)) fail(reason);
    });
  });
  return { progress, settled };
}

async function connectMany({ prefix, count, authList, auth, joinEvent, joinPayload, timeoutMs = 60_000, ...rest }) {
  const began = performance.now();
  const attempts = Array.from({ length: count }, (_, index) => {
    const request = { ...rest, client: `${prefix}${index}`, auth: authList ? authList[index % authList.length] : auth };
    return connectAndJoin(request, { joinEvent, joinPayload, timeoutMs });
  });
  await settledOrLate(attempts.map(({ settled }) => settled), timeoutMs);
  const all = attempts.map(({ progress }) => progress);
  const failed = all.filter(({ connected, joined }) => !(joinEvent ? joined : connected));
  return {
    connected: all.filter(({ connected }) => connected).length,
    joined: all.filter(({ joined }) => joined).length,
    failed: failed.slice(0, 20).map(({ client, reason }) => ({ client, reason })),
    ms: Math.round(performance.now() - began),
  };
}

async function settledOrLate(promises, timeoutMs) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([Promise.all(promises), late]);
  clearTimeout(timer);
}

function emit({ client: name, event, args = [], ack = false, timeoutMs = 5000 }) {
  const socket = stockClient(name);
  const values = args.map(revive);
  if (!ack) {
    socket.emit(event, ...values);
    return {};
  }
  return new Promise((resolve, reject) => {
    socket.timeout(timeoutMs).emit(event, ...values, (error, ...answer) => {
      if (error) reject(new Failure('ack timeout'));
      else resolve({ ack: answer });
    });
  });
}

function place(object, path, value) {
  const keys = path.split('.');
  const last = keys.pop();
  keys.reduce((inner, key) => inner[key], object)[last] = value;
}

async function emitMany({ client: name, count, event, args, ack = true, counterPath, start = 0, timeoutMs = 60_000 }) {
  const socket = stockClient(name);
  const began = performance.now();
  const errors = [];
  let acked = 0;
  const one = (index) => {
    const values = args.map(revive);
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
  return { acked, errors: errors.slice(0, 20), failed: errors.length, ms: Math.round(performance.now() - began) };
}

function transportName(socket) {
  return socket.io.engine?.transport?.name ?? null;
}

// As when the network goes: neither a Socket.IO nor an Engine.IO nor a websocket close is sent.
// The library has no such call; its `engine.close()` takes leave of the server.
function dropTransport({ client: name }) {
  const { transport, readyState } = stockClient(name).io.engine;
  // A transport that is being opened ends with an error; the library waits for that, or for its time-out.
  if (readyState !== 'open') throw new Failure('there is no open transport to drop');
  if (transport.name === 'websocket') return void transport.ws?.terminate();
  transport.onClose({ description: 'dropped' });
  transport.opts.agent.destroy();
}

// A drop after which the client comes back only when it is told to.
function pauseReconnecting(request) {
  const { io } = stockClient(request.client);
  io.reconnection(false);
  dropTransport(request);
}

function resumeReconnecting({ client: name }) {
  const { io } = stockClient(name);
  io.reconnection(true);
  io.connect();
}

// Emits, and loses the transport once the client has had `count` events of this name.
function dropAfter({ client: name, event, count, emit: [asked, ...args] }) {
  const socket = stockClient(name);
  return new Promise((resolve) => {
    let had = 0;
    const heard = (heardEvent) => {
      if (heardEvent !== event || (had += 1) < count) return;
      socket.offAny(heard);
      // Not within the handler: no network goes between two events that the client has read already.
      setImmediate(() => {
        dropTransport({ client: name });
        resolve({});
      });
    };
    socket.onAny(heard);
    socket.emit(asked, ...args);
  });
}

// Emits, and loses the transport right behind the first packet that has `text` in it.
function dropBehind({ client: name, text, emit: [asked, ...args] }) {
  const socket = stockClient(name);
  const { engine } = socket.io;
  engine.removeAllListeners('data');
  return new Promise((resolve) => {
    let deaf = false;
    engine.on('data', (data) => {
      if (deaf) return;
      socket.io.ondata(data);
      if (!data.includes(text)) return;
      deaf = true;
      setImmediate(() => {
        dropTransport({ client: name });
        resolve({});
      });
    });
    socket.emit(asked, ...args);
  });
}

// Node's own stream under the websocket: what is not read there fills the buffers of both sides.
function pauseReading({ client: name, paused }) {
  const { ws } = stockClient(name).io.engine.transport;
  if (paused) ws.pause();
  else ws.resume();
}

async function readFor({ client: name, ms }) {
  pauseReading({ client: name, paused: false });
  await new Promise((resolve) => setTimeout(resolve, ms));
  pauseReading({ client: name, paused: true });
}

export const stockOperations = {
  readFor,
  pauseReconnecting,
  resumeReconnecting,
  pauseReading,
  dropAfter,
  dropBehind,
  connect,
  connectMany,
  emit,
  emitMany,
  transport: ({ client: name }) => ({ transport: transportName(stockClient(name)) }),
  dropTransport,
  state: ({ client: name }) => {
    const socket = stockClient(name);
    return {
      connected: socket.connected,
      socketId: socket.id ?? null,
      recovered: socket.recovered,
      transport: transportName(socket),
    };
  },
};
