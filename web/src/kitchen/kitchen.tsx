import './kitchen.css';
import { render } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import { ConnectionBanner, ConnectionLight, NoCredentials } from '../shared/banner';
import { connect, credentials, read, useConnectionState, type Credentials, type RealtimeSocket } from '../shared/connection';
import { stayIn } from '../shared/room';
import { tabTitle } from '../shared/text';
import type { Ticket } from '../shared/tickets';
import type { KitchenOrders, NewOrder, Offset, OrderUpdated, Tab, VenueState } from '../shared/types';
import { noticeText, reduce, type Display, type Notice } from './display';
import { keep, kept } from './kept';
import { ring, turnOff, turnOn } from './sound';
import { TicketCard } from './ticket-card';

/** Missed events come one after the other; this long without one, they are all there. */
const QUIET_MS = 1000;
const TOLD_MS = 15_000;

function useClock(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** The kitchen's tickets: from a snapshot, or from the page before this one, and kept up by events. */
function useKitchen(socket: RealtimeSocket, venue: string) {
  const [display, change] = useReducer(reduce, venue, kept);
  const [problem, setProblem] = useState('');
  const latest = useLatest(display);

  useEffect(() => {
    const returned = (how: 'caught up' | 'anew') => {
      setProblem('');
      change({ returned: how });
    };
    const away = () => change({ away: true });
    const ordered = (order: NewOrder, offset: Offset) => change({ order, offset });
    const updated = (next: OrderUpdated, offset: Offset) => change({ update: next, offset });
    const snapshot = (state: KitchenOrders) => change({ snapshot: state });
    // These stay while the connection is away: what was missed comes as soon as it is back.
    socket.on('disconnect', away);
    socket.on('kitchen:new-order', ordered);
    socket.on('kitchen:order-updated', updated);
    socket.on('kitchen:orders', snapshot);
    const since = () => (latest().offset ? { venueId: venue, since: latest().offset } : { venueId: venue });
    const leave = stayIn(socket, 'kitchen:join', since, {
      caughtUp: () => returned('caught up'),
      // `kitchen:orders` follows by itself.
      anew: () => returned('anew'),
      refused: ({ message }) => setProblem(message),
    });
    return () => {
      leave();
      socket.off('disconnect', away);
      socket.off('kitchen:new-order', ordered);
      socket.off('kitchen:order-updated', updated);
      socket.off('kitchen:orders', snapshot);
    };
  }, [socket, venue]);

  useEffect(() => keep(venue, display), [venue, display.kitchen, display.offset]);
  useEffect(() => {
    if (display.rung > 0) ring();
  }, [display.rung]);
  useEffect(() => {
    const phase = display.notice?.phase;
    if (phase !== 'counting' && phase !== 'told') return;
    const [over, ms] = phase === 'counting' ? (['counting', QUIET_MS] as const) : (['telling', TOLD_MS] as const);
    const timer = setTimeout(() => change({ over }), ms);
    return () => clearTimeout(timer);
  }, [display.notice]);
  return { ...display, problem };
}

/** For handlers that outlive the rendering that made them. */
function useLatest(display: Display): () => Display {
  const [holder] = useState({ display });
  holder.display = display;
  return () => holder.display;
}

/** The tables' names, which no event carries; read again where a ticket's tab is not known. */
function useTitles({ token, venue }: Credentials, tickets: Ticket[]): (tabId: string) => string {
  const [tabs, setTabs] = useState<ReadonlyMap<string, Tab>>(new Map());
  const unknown = tickets.map(({ tabId }) => tabId).filter((tabId) => !tabs.has(tabId)).join();
  useEffect(() => {
    if (!unknown) return;
    let over = false;
    read<VenueState>(`/demo/state?venue=${encodeURIComponent(venue)}`, token)
      .then((state) => !over && setTabs(new Map(state.tabs.map((tab) => [tab.id, tab]))))
      // Until the next ticket comes it has no better name.
      .catch(() => {});
    return () => void (over = true);
  }, [token, venue, unknown]);
  return (tabId) => {
    const tab = tabs.get(tabId);
    return tab ? tabTitle(tab) : 'Ticket';
  };
}

function CatchUp({ notice }: { notice: Notice | null }) {
  return (
    <div aria-live="polite">
      {notice && notice.phase !== 'away' && (
        <p class="caught-up" data-testid="caught-up" data-recovered={notice.recovered} data-tickets={notice.tickets}>
          {noticeText(notice)}
        </p>
      )}
    </div>
  );
}

function SoundToggle() {
  const [on, setOn] = useState(false);
  const toggle = () => {
    (on ? turnOff : turnOn)();
    setOn(!on);
  };
  return (
    <button data-testid="sound-toggle" aria-pressed={on} onClick={toggle}>
      {on ? '🔔 Sound is on' : '🔕 Tap for sound'}
    </button>
  );
}

function KitchenDisplay({ socket, access }: { socket: RealtimeSocket; access: Credentials }) {
  const connection = useConnectionState(socket);
  const { kitchen, notice, problem } = useKitchen(socket, access.venue);
  const title = useTitles(access, kitchen.tickets);
  const now = useClock();
  return (
    <>
      <ConnectionBanner connection={connection} warning="tickets may be missing" onRetry={() => socket.connect()} />
      <header>
        <h1>Kitchen</h1>
        <span aria-live="polite">{kitchen.tickets.length} open</span>
        <ConnectionLight connection={connection} />
        <SoundToggle />
      </header>
      <CatchUp notice={notice} />
      {problem && <p class="problem" role="alert">{problem}</p>}
      {kitchen.tickets.length === 0 && <p class="empty">No open tickets</p>}
      <main class="tickets">
        {kitchen.tickets.map((ticket) => (
          <TicketCard key={ticket.key} ticket={ticket} title={title(ticket.tabId)} now={now} socket={socket} />
        ))}
      </main>
    </>
  );
}

const access = credentials('venue');
render(
  access ? <KitchenDisplay socket={connect(access.token)} access={access} /> : <NoCredentials />,
  document.getElementById('page')!,
);
