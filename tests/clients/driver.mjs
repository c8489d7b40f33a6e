// Stock socket.io-client clients, and bare websockets, by name.
import { client, hangUp, isConnected, startingWith } from './clients.mjs';
import { Failure, serve } from './jsonlines.mjs';
import { rawOperations } from './raw.mjs';
import { stockOperations } from './stock.mjs';

// A prefix that fits nobody is a mistake in the test, not a success for all of none.
function someStartingWith(prefix) {
  const members = startingWith(prefix);
  if (members.length === 0) throw new Failure(`no client's name starts with ${prefix}`);
  return members;
}

async function waitAll({ prefix, event, count, timeoutMs }) {
  const members = someStartingWith(prefix);
  const lag = async ([name, { log }]) => {
    try {
      await log.wait({ event, count, timeoutMs });
    } catch (error) {
      return { client: name, ...error.details };
    }
  };
  const behind = (await Promise.all(members.map(lag))).filter(Boolean);
  const progress = { clients: members.length, done: members.length - behind.length };
  if (behind.length > 0) throw new Failure('timeout', { ...progress, behind: behind.slice(0, 5) });
  return progress;
}

function valueAt(object, path) {
  return path.split('.').reduce((value, key) => value?.[key], object);
}

function isIncreasing(list) {
  return list.every((value, index) => index === 0 || value > list[index - 1]);
}

// The values at `path` of every client's events, as far as they differ between clients.
function sequences({ prefix, event, path }) {
  const lists = someStartingWith(prefix).map(([, { log }]) =>
    log.since(0, event).map((entry) => valueAt(entry.args[0], path)),
  );
  const orders = new Map(lists.map((list) => [JSON.stringify(list), list]));
  const distinct = [...orders.values()];
  const lengths = lists.map((list) => list.length);
  return {
    clients: lists.length,
    distinctOrders: distinct.length,
    orders: distinct.slice(0, 3).map((list) => list.slice(0, 5000)),
    lengths: { min: Math.min(...lengths), max: Math.max(...lengths) },
    ordered: distinct.every(isIncreasing),
    duplicates: lists.reduce((sum, list) => sum + list.length - new Set(list).size, 0),
  };
}

// Milliseconds from the time at `path` in an event to its arrival, over all clients' events from the `from`th on.
function latencies({ prefix, event, path, from = 0 }) {
  const all = someStartingWith(prefix)
    .flatMap(([, { log }]) => log.since(0, event).slice(from))
    .map((entry) => entry.at - valueAt(entry.args[0], path))
    .sort((a, b) => a - b);
  const at = (share) => all[Math.floor((all.length - 1) * share)];
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

function counts({ prefix }) {
  const members = startingWith(prefix).map(([, member]) => member);
  return { connected: members.filter(isConnected).length, total: members.length };
}

serve({
  ...stockOperations,
  ...rawOperations,
  events: ({ client: name, event, from }) => ({ events: client(name).log.since(from, event) }),
  wait: ({ client: name, ...what }) => client(name).log.wait(what),
  waitAll,
  sequences,
  latencies,
  counts,
  disconnect: ({ client: name }) => hangUp(client(name)),
  disconnectAll: ({ prefix }) => startingWith(prefix).forEach(([, member]) => hangUp(member)),
});
