// The one place that makes the page's socket, and what the page knows of its state.
import { io, type Socket } from 'socket.io-client';
import { useEffect, useState } from 'preact/hooks';
import type { Answer, ClientToServerEvents, Commands, Failure, ServerToClientEvents } from './types';

export type RealtimeSocket = Socket<ServerToClientEvents, ClientToServerEvents>;

/** They come in the link's fragment, which a browser sends to nobody. */
export function credentials<Subject extends string>(subject: Subject): ({ token: string } & Record<Subject, string>) | null {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const [token, id] = [fragment.get('token'), fragment.get(subject)];
  return token && id ? ({ token, [subject]: id } as { token: string } & Record<Subject, string>) : null;
}

export interface Credentials {
  token: string;
  venue: string;
}

export type ConnectionState =
  | { state: 'connecting' }
  | { state: 'connected' }
  | { state: 'lost' }
  | { state: 'refused'; reason: string };

export function connect(token: string): RealtimeSocket {
  return io({
    auth: { token },
    transports: ['websocket', 'polling'],
    reconnectionDelay: 500,
    reconnectionDelayMax: 5000,
    reconnectionAttempts: Infinity,
  });
}

export function useConnectionState(socket: RealtimeSocket): ConnectionState {
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

const unavailable = (message: string): { ok: false; error: Failure } => ({ ok: false, error: { code: 'UNAVAILABLE', message } });

/** Emits an event and resolves with its acknowledgement. */
export async function request<Event extends keyof Commands>(
  socket: RealtimeSocket,
  event: Event,
  payload: Commands[Event]['payload'],
): Promise<Answer<Commands[Event]['reply']>> {
  // Not queued for later: a tap that the cook has forgotten should not act minutes afterwards.
  if (!socket.connected) return unavailable('Not connected');
  try {
    const emitter = socket.timeout(8000) as { emitWithAck(event: string, payload: unknown): Promise<unknown> };
    return (await emitter.emitWithAck(event, payload)) as Answer<Commands[Event]['reply']>;
  } catch {
    return unavailable('No answer — try again');
  }
}

/** The same, for whom only what went wrong matters; null if nothing did. */
export async function ask<Event extends keyof Commands>(
  socket: RealtimeSocket,
  event: Event,
  payload: Commands[Event]['payload'],
): Promise<Failure | null> {
  const answer = await request(socket, event, payload);
  return answer.ok ? null : answer.error;
}

/** Reads one of the demo's answers. */
export async function read<State>(path: string, token: string): Promise<State> {
  const response = await fetch(path, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}
