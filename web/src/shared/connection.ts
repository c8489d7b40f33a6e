// The one place that makes the page's socket, and what the page knows of its state.
import { io, type Socket } from 'socket.io-client';
import { useEffect, useState } from 'preact/hooks';
import type { Ack, Failure, VenueState } from './types';

export interface Credentials {
  token: string;
  venue: string;
}

/** They come in the link's fragment, which a browser sends to nobody. */
export function credentials(): Credentials | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const [token, venue] = [fragment.get('token'), fragment.get('venue')];
  return token && venue ? { token, venue } : null;
}

export type ConnectionState =
  | { state: 'connecting' }
  | { state: 'connected' }
  | { state: 'lost' }
  | { state: 'refused'; reason: string };

export function connect({ token }: Credentials): Socket {
  return io({
    auth: { token },
    transports: ['websocket', 'polling'],
    reconnectionDelay: 500,
    reconnectionDelayMax: 5000,
    reconnectionAttempts: Infinity,
  });
}

export function useConnectionState(socket: Socket): ConnectionState {
  const [state, setState] = useState<ConnectionState>({ state: socket.connected ? 'connected' : 'connecting' });
  useEffect(() => {
    const connected = () => setState({ state: 'connected' });
    const disconnected = (reason: string) =>
      setState(socket.active ? { state: 'lost' } : { state: 'refused', reason: `Ended: ${reason}` });
    const failed = (error: Error) =>
      setState(socket.active ? { state: 'lost' } : { state: 'refused', reason: error.message });
    socket.on('connect', connected);
    socket.on('disconnect', disconnected);
    socket.on('connect_error', failed);
    return () => {
      socket.off('connect', connected);
      socket.off('disconnect', disconnected);
      socket.off('connect_error', failed);
    };
  }, [socket]);
  return state;
}

const NO_ANSWER: Failure = { code: 'UNAVAILABLE', message: 'No answer — try again' };

/** Emits an event and resolves with what went wrong, or with null. */
export async function ask(socket: Socket, event: string, payload: unknown): Promise<Failure | null> {
  // Not queued for later: a tap that the cook has forgotten should not act minutes afterwards.
  if (!socket.connected) return { code: 'UNAVAILABLE', message: 'Not connected' };
  try {
    const ack: Ack = await socket.timeout(8000).emitWithAck(event, payload);
    return ack.ok ? null : ack.error;
  } catch {
    return NO_ANSWER;
  }
}

export async function fetchState({ token, venue }: Credentials): Promise<VenueState> {
  const url = `/demo/state?venue=${encodeURIComponent(venue)}`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`state: ${response.status}`);
  return response.json();
}
