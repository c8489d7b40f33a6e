import type { Socket } from 'socket.io-client';
import type { Answer, ClientToServerEvents, Commands, Failure, ServerToClientEvents } from './events';

export type RealtimeSocket = Socket<ServerToClientEvents, ClientToServerEvents>;

const PATIENCE_MS = 10_000;

/** Emits an event and resolves with its acknowledgement; never rejects. */
export async function ask<Event extends keyof Commands>(
  socket: RealtimeSocket,
  event: Event,
  payload: Commands[Event]['payload'],
  patienceMs = PATIENCE_MS,
): Promise<Answer<Commands[Event]['reply']>> {
  // The library would keep it until the connection is back: a tap that the cook has
  // forgotten must not act minutes afterwards.
  if (!socket.connected) return unavailable('Not connected');
  try {
    // The library's types lose sight of an acknowledgement that is optional.
    const emitter = socket.timeout(patienceMs) as { emitWithAck(event: string, payload: unknown): Promise<unknown> };
    return (await emitter.emitWithAck(event, payload)) as Answer<Commands[Event]['reply']>;
  } catch {
    return unavailable('No answer');
  }
}

export function unavailable(message: string): { ok: false; error: Failure } {
  return { ok: false, error: { code: 'UNAVAILABLE', message } };
}

/** How long to wait before the same may work; `null` where it will not by itself. */
export function retryAfter({ code, retryAfterMs }: Failure): number | null {
  if (code === 'RATE_LIMITED') return retryAfterMs ?? 1000;
  return code === 'UNAVAILABLE' ? 1000 : null;
}
