import './kitchen.css';
import { render } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import type { Socket } from 'socket.io-client';
import { ConnectionBanner, ConnectionLight, NoCredentials } from '../shared/banner';
import { ask, connect, credentials, fetchState, useConnectionState, type Credentials } from '../shared/connection';
import { EMPTY, addOrder, replaceWith, update, type Kitchen } from '../shared/tickets';
import type { Order, OrderUpdated, Tab } from '../shared/types';
import { ring, turnOff, turnOn } from './sound';
import { TicketCard } from './ticket-card';

type Change = { order: Order } | { update: OrderUpdated } | { snapshot: Order[] };

function reduce(kitchen: Kitchen, change: Change): Kitchen {
  const now = Date.now();
  if ('order' in change) return addOrder(kitchen, change.order, now);
  if ('update' in change) return update(kitchen, change.update);
  return replaceWith(kitchen, change.snapshot, now);
}

function useClock(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** The kitchen's tickets, kept up by events, and set right by a snapshot after every connect. */
function useKitchen(socket: Socket, access: Credentials) {
  const [kitchen, change] = useReducer(reduce, EMPTY);
  const [tabs, setTabs] = useState<ReadonlyMap<string, Tab>>(new Map());
  const [problem, setProblem] = useState('');
  useEffect(() => {
    let attempt = 0;
    const enter = async () => {
      const mine = ++attempt;
      const refused = await ask(socket, 'kitchen:join', { venueId: access.venue });
      if (refused) return setProblem(refused.message);
      try {
        // Asked for once in the room: an order that the snapshot lacks comes as an event.
        const { orders, tabs } = await fetchState(access);
        if (mine !== attempt) return;
        setTabs(new Map(tabs.map((tab) => [tab.id, tab])));
        change({ snapshot: orders });
        setProblem('');
      } catch {
        setProblem('The open tickets could not be read');
        setTimeout(() => mine === attempt && socket.connected && void enter(), 3000);
      }
    };
    const ordered = (order: Order) => {
      change({ order });
      ring();
    };
    const updated = (next: OrderUpdated) => change({ update: next });
    // These stay while the connection is away, so that nothing that comes with its return is missed.
    socket.on('connect', enter);
    socket.on('kitchen:new-order', ordered);
    socket.on('kitchen:order-updated', updated);
    if (socket.connected) void enter();
    return () => {
      attempt += 1;
      socket.off('connect', enter);
      socket.off('kitchen:new-order', ordered);
      socket.off('kitchen:order-updated', updated);
    };
  }, [socket, access]);
  return { kitchen, tabs, problem };
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

function KitchenDisplay({ socket, access }: { socket: Socket; access: Credentials }) {
  const connection = useConnectionState(socket);
  const { kitchen, tabs, problem } = useKitchen(socket, access);
  const now = useClock();
  const title = (tabId: string) => {
    const tab = tabs.get(tabId);
    return tab ? (tab.table ? `Table ${tab.table}` : `Tab ${tab.tabNumber}`) : 'Ticket';
  };
  return (
    <>
      <ConnectionBanner connection={connection} onRetry={() => socket.connect()} />
      <header>
        <h1>Kitchen</h1>
        <span aria-live="polite">{kitchen.tickets.length} open</span>
        <ConnectionLight connection={connection} />
        <SoundToggle />
      </header>
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

const access = credentials();
render(
  access ? <KitchenDisplay socket={connect(access)} access={access} /> : <NoCredentials />,
  document.getElementById('page')!,
);
