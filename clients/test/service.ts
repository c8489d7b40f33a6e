// A stand-in for the service: Socket.IO's own server, with its recovery, in memory.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, type Socket } from 'socket.io';
import type { OpenOrder, Publish } from '@/lib/realtime/events';

type Acknowledge = ((answer: unknown) => void) | undefined;
type Published = Publish & { id: string };

export class Service {
  readonly received: Array<[event: string, payload: Record<string, unknown>]> = [];
  readonly tokens: string[] = [];
  /** Publishes in the order in which they were first received. */
  readonly published: Published[] = [];
  orders: OpenOrder[] = [];
  refuse = new Set<string>();
  /** Answers of this kind are lost with the connection. */
  loseAnswers = 0;
  private readonly http = createServer();
  private readonly io = new Server(this.http, { connectionStateRecovery: {} });

  static async start(port = 0): Promise<Service> {
    const service = new Service();
    await new Promise<void>((listening) => service.http.listen(port, '127.0.0.1', listening));
    return service;
  }

  private constructor() {
    this.io.use((socket, next) => {
      const { token } = socket.handshake.auth;
      this.tokens.push(token);
      next(this.refuse.has(token) ? new Error('Authentication failed') : undefined);
    });
    this.io.on('connection', (socket) => {
      if (socket.recovered) this.tokens.push(socket.handshake.auth.token);
      socket.onAny((event, payload, acknowledge) => void this.handle(socket, event, payload, acknowledge));
    });
  }

  get port() {
    return (this.http.address() as AddressInfo).port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get connections() {
    return this.io.sockets.sockets.size;
  }

  count(event: string) {
    return this.received.filter(([name]) => name === event).length;
  }

  emit(room: string, event: string, payload: unknown) {
    this.io.to(room).emit(event, payload);
  }

  /** The network's doing: the client comes back by itself, and recovers. */
  dropAll() {
    for (const socket of this.io.sockets.sockets.values()) socket.conn.close();
  }

  /** The server's doing: a DISCONNECT packet. */
  endAll(error: unknown) {
    this.io.emit('error', error);
    this.io.disconnectSockets();
  }

  async stop() {
    await this.io.close();
  }

  private async handle(socket: Socket, event: string, payload: Record<string, unknown>, acknowledge: Acknowledge) {
    this.received.push([event, payload]);
    const [place, verb] = event.split(':');
    const room = `${place}:${payload.tabId ?? payload.venueId}`;
    if (verb === 'join') {
      await socket.join(room);
      acknowledge?.({ ok: true, ...payload, offset: '' });
      if (place === 'kitchen') socket.emit('kitchen:orders', { ...payload, orders: this.orders, offset: '' });
    } else if (verb === 'leave') {
      await socket.leave(room);
      acknowledge?.({ ok: true });
    } else if (event === 'broadcast') {
      this.publish(socket, payload as unknown as Published, acknowledge);
    } else {
      acknowledge?.({ ok: true, ...payload });
    }
  }

  private publish(socket: Socket, publish: Published, acknowledge: Acknowledge) {
    if (!this.published.some(({ id }) => id === publish.id)) this.published.push(publish);
    if (this.loseAnswers > 0) {
      this.loseAnswers -= 1;
      socket.conn.close();
    } else {
      acknowledge?.({ ok: true, id: publish.id, offset: '1', durable: true });
    }
  }
}
