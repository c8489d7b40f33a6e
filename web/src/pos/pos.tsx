import './pos.css';
import { render } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import type { Socket } from 'socket.io-client';
import { ConnectionBanner, ConnectionLight, NoCredentials } from '../shared/banner';
import { ask, connect, credentials, fetchState, useConnectionState, type Credentials } from '../shared/connection';
import { EMPTY, addOrder, replaceWith, update, type Kitchen } from '../shared/tickets';
import type { ItemAdded, Order, OrderUpdated, VenueState } from '../shared/types';
import { add, changeQuantity, send, setNote, type Line } from './order';

type Change = { added: ItemAdded } | { update: OrderUpdated } | { snapshot: Order[] };

function reduce(sent: Kitchen, change: Change): Kitchen {
  const now = Date.now();
  if ('update' in change) return update(sent, change.update);
  if ('snapshot' in change) return replaceWith(sent, change.snapshot, now);
  const { tabId, item } = change.added;
  return addOrder(sent, { tabId, items: [{ ...item, status: 'SENT' }] }, now);
}

function useVenue(socket: Socket, access: Credentials) {
  const [venue, setVenue] = useState<VenueState | null>(null);
  const [sent, change] = useReducer(reduce, EMPTY);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    const enter = async () => {
      const refused = await ask(socket, 'venue:join', { venueId: access.venue });
      if (refused) return setProblem(refused.message);
      try {
        const state = await fetchState(access);
        setVenue(state);
        change({ snapshot: state.orders });
        setProblem('');
      } catch {
        setProblem('The venue could not be read');
      }
    };
    const added = (item: ItemAdded) => change({ added: item });
    const updated = (next: OrderUpdated) => change({ update: next });
    socket.on('connect', enter);
    socket.on('tab:item-added', added);
    socket.on('kitchen:order-updated', updated);
    if (socket.connected) void enter();
    return () => {
      socket.off('connect', enter);
      socket.off('tab:item-added', added);
      socket.off('kitchen:order-updated', updated);
    };
  }, [socket, access]);
  return { venue, sent, problem };
}

const price = (cents: number) => (cents / 100).toFixed(2);

function OrderForm({ lines, change, tabId, token }: { lines: Line[]; change: (lines: Line[]) => void; tabId: string | null; token: string }) {
  const [pending, setPending] = useState(false);
  const [problem, setProblem] = useState('');
  const submit = async () => {
    if (!tabId) return setProblem('Pick a tab first');
    setPending(true);
    const failure = await send(token, tabId, lines);
    setPending(false);
    setProblem(failure ?? '');
    if (!failure) change([]);
  };
  return (
    <section class="order" aria-label="Order">
      <h2>Order</h2>
      {lines.length === 0 && <p>Tap dishes to add them.</p>}
      {lines.map((line) => (
        <div class="line" key={line.dish.menuItemId} data-testid="order-line">
          <span>{line.dish.name}</span>
          <button aria-label={`One ${line.dish.name} less`} onClick={() => change(changeQuantity(lines, line.dish, -1))}>−</button>
          <span>{line.quantity}</span>
          <button aria-label={`One ${line.dish.name} more`} onClick={() => change(changeQuantity(lines, line.dish, 1))}>+</button>
          <input
            placeholder="Note, such as an allergy"
            maxLength={500}
            value={line.note}
            onInput={(event) => change(setNote(lines, line.dish, event.currentTarget.value))}
          />
        </div>
      ))}
      {problem && <p class="problem" role="alert" data-testid="order-error">{problem}</p>}
      <button class="send" data-testid="send-order" disabled={pending || lines.length === 0} onClick={() => void submit()}>
        {pending ? 'Sending…' : 'Send to kitchen'}
      </button>
    </section>
  );
}

function SentItems({ sent }: { sent: Kitchen }) {
  const items = sent.tickets.flatMap((ticket) => ticket.items);
  return (
    <section aria-label="In the kitchen">
      <h2>In the kitchen</h2>
      {items.length === 0 && <p>Nothing.</p>}
      <ul class="sent">
        {items.map((item) => (
          <li key={item.id} data-testid="sent-item" data-item-id={item.id} data-status={item.status}>
            <span>{item.quantity}× {item.name}</span>
            <span class="status">{item.status.toLowerCase().replace('_', ' ')}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function PosTerminal({ socket, access }: { socket: Socket; access: Credentials }) {
  const connection = useConnectionState(socket);
  const { venue, sent, problem } = useVenue(socket, access);
  const [tabId, setTabId] = useState<string | null>(null);
  const [lines, setLines] = useState<Line[]>([]);
  return (
    <>
      <ConnectionBanner connection={connection} onRetry={() => socket.connect()} />
      <header>
        <h1>{venue?.venue.name ?? 'POS terminal'}</h1>
        <ConnectionLight connection={connection} />
      </header>
      {problem && <p class="problem" role="alert">{problem}</p>}
      <main class="pos">
        <div>
          <h2>Tab</h2>
          <div class="choices">
            {venue?.tabs.map((tab) => (
              <button key={tab.id} data-testid="tab-option" aria-pressed={tab.id === tabId} onClick={() => setTabId(tab.id)}>
                {tab.table ? `Table ${tab.table}` : `Tab ${tab.tabNumber}`}
              </button>
            ))}
          </div>
          <h2>Menu</h2>
          <div class="choices">
            {venue?.menu.map((dish) => (
              <button key={dish.menuItemId} data-testid="menu-item" onClick={() => setLines(add(lines, dish))}>
                {dish.name} <small>{price(dish.priceCents)}</small>
              </button>
            ))}
          </div>
          <SentItems sent={sent} />
        </div>
        <OrderForm lines={lines} change={setLines} tabId={tabId} token={access.token} />
      </main>
    </>
  );
}

const access = credentials();
render(
  access ? <PosTerminal socket={connect(access)} access={access} /> : <NoCredentials />,
  document.getElementById('page')!,
);
