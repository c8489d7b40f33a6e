import { io } from 'socket.io-client';
import type { RealtimeSocket } from './ask';

export interface Connection {
  socket: RealtimeSocket;
  /** A newer token of the same user. It serves from the next connect on, so that a live session is not disturbed. */
  setToken(token: string): void;
  close(): void;
}

interface Options {
  url: string;
  token: string;
  /** Asks the application for a newer token, which then comes through `setToken`. */
  renew: () => void;
}

/** Pauses before it asks for a newer token, or tries one that has come: a new token may be refused as the old one was. */
const PAUSES_MS = [0, 5_000, 15_000, 60_000];

/**
 * A socket that comes back from everything that can mend.
 *
 * A lost transport is the library's to mend, and it is to try for ever. After a refusal, and
 * after a DISCONNECT from the server (`TOKEN_EXPIRED`, a revoked token, an operator's hand), it
 * stays away, and the same token would only fare the same: it takes a newer one.
 */
export function connect({ url, token, renew }: Options): Connection {
  let used = token;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let refusals = 0;
  let pauses = 0;
  const socket: RealtimeSocket = io(url, {
    auth: (send) => {
      used = token;
      send({ token });
    },
    transports: ['websocket', 'polling'],
    reconnection: true,
    reconnectionDelay: 1000,
    reconnectionDelayMax: 5000,
    reconnectionAttempts: Infinity,
    // A socket of its own, not one of a shared manager: closing it closes the connection.
    forceNew: true,
  });

  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (socket.active) return;
      if (token !== used) return void socket.connect();
      renew();
      wait();
    }, PAUSES_MS[Math.min(pauses++, PAUSES_MS.length - 1)]);
  };
  const refused = () => {
    refusals += 1;
    wait();
  };
  socket.on('connect', () => {
    clearTimeout(timer);
    refusals = pauses = 0;
  });
  socket.on('disconnect', (reason) => reason === 'io server disconnect' && refused());
  socket.on('connect_error', () => !socket.active && refused());

  return {
    socket,
    setToken: (newer) => {
      const changed = newer !== token;
      token = newer;
      // At once after the first refusal; after more of them it waits for its turn.
      if (changed && !socket.active && refusals <= 1) socket.connect();
    },
    close: () => {
      clearTimeout(timer);
      socket.off('disconnect').off('connect_error');
      socket.close();
    },
  };
}
