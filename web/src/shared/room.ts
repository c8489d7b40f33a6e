// Being in a room, over every loss of the connection.
import { request, type RealtimeSocket } from './connection';
import type { Commands, Failure } from './types';

type Join = 'tab:join' | 'venue:join' | 'kitchen:join';

interface Watch {
  /** In again, with everything that was missed to follow. */
  caughtUp: () => void;
  /** In, and something may have been missed: what the page shows is to be read anew. */
  anew: () => void | Promise<void>;
  refused: (failure: Failure) => void;
}

const PAUSE_MS = 3000;

/** Until the returned function is called. `payload` is asked for each time, since `since` moves on. */
export function stayIn<J extends Join>(
  socket: RealtimeSocket,
  join: J,
  payload: () => Commands[J]['payload'],
  { caughtUp, anew, refused }: Watch,
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let attempt = 0;
  let entered = false;

  const enter = async () => {
    const mine = ++attempt;
    clearTimeout(timer);
    entered = false;
    const again = (ms: number) => {
      if (mine === attempt && socket.connected) timer = setTimeout(() => void enter(), ms);
    };
    const asked = payload();
    const answer = await request(socket, join, asked);
    if (mine !== attempt) return;
    if (!answer.ok) {
      const { error } = answer;
      if (socket.connected) refused(error);
      if (error.code === 'UNAVAILABLE' || error.code === 'RATE_LIMITED') again(error.retryAfterMs ?? PAUSE_MS);
      return;
    }
    try {
      if (asked.since && answer.complete) caughtUp();
      else await anew();
      entered = mine === attempt;
    } catch {
      refused({ code: 'UNAVAILABLE', message: 'What is open could not be read' });
      again(PAUSE_MS);
    }
  };
  const connected = () => {
    // The session has its rooms, and its missed events are on their way.
    if (socket.recovered && entered) caughtUp();
    else void enter();
  };

  socket.on('connect', connected);
  if (socket.connected) void enter();
  return () => {
    attempt += 1;
    clearTimeout(timer);
    socket.off('connect', connected);
  };
}
