import { ask, retryAfter, type RealtimeSocket } from './ask';
import type { Commands, ErrorEvent } from './events';

type Place = 'tab' | 'venue' | 'kitchen' | 'table';
type Where<P extends Place> = Omit<Commands[`${P}:join`]['payload'], 'since'>;

/**
 * Keeps the socket in a room until the returned function is called, and calls `anew` each time
 * that events may have been missed: after every entry but a recovered one, since a recovered
 * session has its rooms and its missed events already.
 */
export function stayIn<P extends Place>(socket: RealtimeSocket, place: P, where: Where<P>, anew: () => void): () => void {
  const id = Object.values(where)[0];
  let entered = false;
  let over = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const enter = async () => {
    clearTimeout(timer);
    entered = false;
    const answer = await ask(socket, `${place}:join`, where as Commands[`${P}:join`]['payload']);
    if (over) return;
    if (answer.ok) {
      entered = true;
      // Read once in the room: what this misses comes as an event.
      return anew();
    }
    const pause = retryAfter(answer.error);
    if (pause === null) console.error(`${place}:join refused:`, answer.error.message);
    // Without a connection the next `connect` enters.
    else if (socket.connected) timer = setTimeout(() => void enter(), pause);
  };
  const connected = () => {
    // A room that was chosen while the connection was away is not among the recovered ones.
    if (!(socket.recovered && entered)) void enter();
  };
  const refused = (error: ErrorEvent) => {
    if (error.room === `${place}:${id}`) entered = false;
  };

  socket.on('connect', connected);
  socket.on('error', refused);
  if (socket.connected) void enter();
  return () => {
    over = true;
    clearTimeout(timer);
    socket.off('connect', connected);
    socket.off('error', refused);
    // Not while disconnected: the library would send it after the next connect, when the page
    // may be in that room again. Until then its events may come; handlers look at the id.
    if (socket.connected) (socket as { emit(event: string, payload: unknown): void }).emit(`${place}:leave`, where);
  };
}
