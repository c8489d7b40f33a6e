// What /admin/api answers, and asking it. The browser adds the credentials that the page was let in with.

export interface Actor {
  kind: string;
  name: string;
  parent: string | null;
  who?: string;
  state: string;
  uptimeMs: number;
  mailbox: { depth: number; high: number };
  handled: number;
  handledPerSecond: number;
  handlingUs: { p50: number | null; p99: number | null };
  restarts: number;
  lastFailure: string | null;
  lag: number;
  // Of what looks at the database again and again.
  sinceLookMs?: number;
}

export interface House {
  version: string;
  uptimeMs: number;
  sessions: number;
  rooms: number;
  behind: number;
  restarted: number;
  away: string[];
  durable: boolean;
  // While the database does not answer.
  awaySince: string | null;
  // Of what waits for the log, that went out before it was stored.
  heldBack: number;
  waitingForLog: number;
  draining: boolean;
}

export interface Tree {
  total: number;
  next: string | null;
  house: House;
  actors: Actor[];
}

export interface Point {
  at: number;
  connections: number;
  rooms: number;
  publishedPerSecond: number;
  deliveredPerSecond: number;
  latencyP50Ms: number | null;
  latencyP99Ms: number | null;
  mailboxDepth: number;
  logLag: number;
}

interface Connection {
  id: string;
  who: string;
  transport: string | null;
  address: string | null;
  connectedAt: string;
  bytes: { received: number; sent: number; waiting: number };
}

export interface Member extends Connection {
  since: string | null;
  flow: string;
  offset: string | null;
  lag: number;
}

export interface EventSummary {
  id: string;
  event: string;
  rooms: string[];
  offset: string | null;
  receivedAt: string;
}

export interface Room {
  name: string;
  actor: Actor;
  offset: string | null;
  memberCount: number;
  members: Member[];
  newest: EventSummary[];
}

export interface Session extends Connection {
  identity: { kind: string; id: string; staff?: { venueId: string; role: string }[] | null } | null;
  tokenExpiresAt: string | null;
  recovered: boolean;
  rooms: { name: string; since: string | null; from: string | null }[];
  answered: boolean;
  actor: Actor;
  lag: number;
  lastError: { at: string; event: string; code: string; message: string } | null;
}

interface Moment {
  at: string;
  afterMs: number;
}

export interface Witness {
  id: string;
  who: string;
  room: string;
  fate: 'handed' | 'held' | 'behind' | 'away' | 'left';
  at?: string | null;
  caughtUpAt?: string | null;
  since?: string;
  connectionEndedAt: string | null;
  cameBack?: { id: string; at: string };
}

export interface Way extends EventSummary {
  publisher: { kind: string; id?: string | null; who?: string | null };
  stored: Moment | null;
  relayed: Moment | null;
  dispatched: Moment | null;
  handed: (Moment & { thread: number; sessions: number })[];
  counts: Record<Witness['fate'], number>;
  complete: boolean;
  sessions: Witness[];
}

export class NoAnswer extends Error {
  constructor(readonly status: number) {
    super(status === 0 ? 'The instance does not answer' : `The instance answered ${status}`);
  }
}

async function call(method: string, path: string): Promise<unknown> {
  const answer = await fetch(`/admin/api/${path}`, { method }).catch(() => undefined);
  if (!answer?.ok) throw new NoAnswer(answer?.status ?? 0);
  return answer.json();
}

const get = <T>(path: string) => call('GET', path) as Promise<T>;
const part = encodeURIComponent;

export interface Question {
  sort: string;
  kind: string;
  q: string;
  limit: number;
}

export const api = {
  tree: ({ sort, kind, q, limit }: Question) => {
    const query = new URLSearchParams({ sort, limit: String(limit) });
    if (kind) query.set('kind', kind);
    if (q) query.set('q', q);
    return get<Tree>(`actors?${query}`);
  },
  series: (after: number) => get<{ points: Point[] }>(`series?after=${after}`),
  room: (name: string) => get<Room>(`rooms/${part(name)}`),
  session: (id: string) => get<Session>(`sessions/${part(id)}`),
  wayOf: (id: string) => get<Way>(`events?id=${part(id)}`),
  wayAt: (room: string, offset: string) => get<Way>(`events?room=${part(room)}&offset=${part(offset)}`),
  newest: (room: string) => get<{ events: EventSummary[] }>(`events?room=${part(room)}`),
  disconnect: (id: string) => call('POST', `sessions/${part(id)}/disconnect`),
  restart: (room: string) => call('POST', `rooms/${part(room)}/restart`),
  drain: () => call('POST', 'drain'),
};
