import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, test } from 'node:test';
import { Service } from './service';
import { HttpPublisher } from '@/lib/realtime/publish-http';
import { SocketPublisher } from '@/lib/realtime/publish-socket';
import type { Receipt } from '@/lib/realtime/publisher';
import { SocketEmitter } from '@/server/api/lib/socket-emit';

type Sent = { id: string; room?: string; rooms?: string[]; event: string; payload: { tabId: string } };

const order = (number: number) => ({ venueId: 'cvenue', tabId: `ctab${number}`, items: [] });
const tabs = (sent: Sent[]) => sent.map(({ payload }) => payload.tabId);
const expected = (count: number) => Array.from({ length: count }, (_, number) => `ctab${number}`);
const emitMany = (count: number) =>
  Promise.all(Array.from({ length: count }, (_, number) => SocketEmitter.emitNewOrder(order(number))));
const allOk = (receipts: Receipt[]) => assert.ok(receipts.every(({ ok }) => ok), JSON.stringify(receipts));

const closing: Array<() => unknown> = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function overSocket() {
  const service = await Service.start();
  const publisher = new SocketPublisher(service.url, 'secret', { attemptMs: 2000 });
  SocketEmitter.use(publisher);
  closing.push(() => publisher.close(), () => service.stop());
  return { service, publisher };
}

test('publishes whose answers are lost are sent again with their ids, in their order', async () => {
  const { service } = await overSocket();
  service.loseAnswers = 3;
  allOk(await emitMany(20));
  assert.deepEqual(tabs(service.published as Sent[]), expected(20));
  assert.ok(service.count('broadcast') > 20, 'something was sent twice');
});

test('what is published while the service is away comes when it is back', async () => {
  const { service, publisher } = await overSocket();
  allOk(await emitMany(1));
  const { port } = service;
  await service.stop();
  const receipts = emitMany(5);
  const again = await Service.start(port);
  closing.push(() => publisher.close(), () => again.stop());
  allOk(await receipts);
  assert.deepEqual(tabs(again.published as Sent[]), expected(5));
});

test('an event for a tab and its venue is one publish', async () => {
  const { service } = await overSocket();
  const payload = { tabId: 'ctab', venueId: 'cvenue', oldStatus: 'OPEN', newStatus: 'CLOSED', trigger: 'x' };
  const receipt = await SocketEmitter.emitTabStatusChanged(payload);
  assert.ok(receipt.ok && receipt.durable);
  const notification = { id: 'n', type: 't', title: 'T', message: 'M' };
  await SocketEmitter.emitNotification({ userId: 'u', notification });
  const [first, second] = service.published;
  assert.deepEqual({ ...first, id: '' }, { rooms: ['tab:ctab', 'venue:cvenue'], event: 'tab:status-changed', payload, id: '' });
  assert.deepEqual({ ...second, id: '' }, { room: 'user:u', event: 'notification:new', payload: notification, id: '' });
});

test('a secret that is refused is an answer, not an exception', async () => {
  const { service } = await overSocket();
  service.refuse.add('secret');
  console.error = () => {};
  const [receipt] = await emitMany(1);
  assert.deepEqual(receipt, { ok: false, error: { code: 'FORBIDDEN', message: 'Authentication failed' } });
});

/** A service over HTTP; `answer` decides what becomes of each request. */
async function overHttp(answer: (sent: Sent[], number: number) => { status: number; body?: unknown } | 'hang up') {
  const requests: Sent[][] = [];
  const http = createServer(async (request, response) => {
    const sent: Sent[] = JSON.parse(await text(request));
    assert.equal(request.headers.authorization, 'Bearer secret');
    requests.push(sent);
    const made = answer(sent, requests.length);
    if (made === 'hang up') return void request.socket.destroy();
    response.writeHead(made.status, { 'content-type': 'application/json' }).end(JSON.stringify(made.body ?? {}));
  });
  await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening));
  closing.push(() => http.closeAllConnections(), () => http.close());
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  SocketEmitter.use(new HttpPublisher(url, 'secret', { pauseMs: 5 }));
  return requests;
}

async function text(request: IncomingMessage) {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body;
}

const accept = (sent: Sent[]) => ({
  status: 200,
  body: sent.map(({ id }) => ({ ok: true, id, offset: '1', durable: true })),
});

test('over HTTP: in order, together, and again with the same ids', async () => {
  const requests = await overHttp((sent, number) => {
    if (number === 1) return 'hang up';
    if (number === 2) return { status: 503 };
    if (number > 3) return accept(sent);
    const [first, second, ...rest] = accept(sent).body;
    return { status: 200, body: [first, { ...second, ok: false, error: { code: 'UNAVAILABLE', message: '' } }, ...rest] };
  });
  allOk(await emitMany(10));
  const [first, , third, fourth] = requests;
  assert.deepEqual(tabs(first!), ['ctab0']);
  assert.deepEqual(tabs(third!), expected(10));
  assert.equal(third![0]!.id, first![0]!.id);
  assert.deepEqual(fourth, [third![1]]);
});

test('over HTTP: one that is refused spoils no other', async () => {
  const requests = await overHttp((sent) => (tabs(sent).includes('ctab3') ? { status: 400 } : accept(sent)));
  const receipts = await emitMany(5);
  assert.deepEqual(receipts.map(({ ok }) => ok), [true, true, true, false, true]);
  assert.ok(requests.length > 2);
});

test('over HTTP: a wrong secret is not tried again', async () => {
  const requests = await overHttp(() => ({ status: 401 }));
  const [receipt] = await emitMany(1);
  assert.ok(receipt && !receipt.ok && receipt.error.code === 'FORBIDDEN');
  assert.equal(requests.length, 1);
});
