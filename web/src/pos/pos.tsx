import './pos.css';
import { render } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import { ConnectionBanner, ConnectionLight, NoCredentials } from '../shared/banner';
import { connect, credentials, read, useConnectionState, type Credentials, type RealtimeSocket } from '../shared/connection';
import { stayIn } from '../shared/room';
import { price, tabTitle } from '../shared/text';
import { EMPTY, addOrder, forgetStatuses, replaceWith, update, type Kitchen } from '../shared/tickets';
import type { Order, OrderUpdated, TabClosed, TabItemAdded, VenueState } from '../shared/types';
import { add, changeQuantity, send, setNote, type Line } from './order';

type Change = { absence: true } | { added: TabItemAdded } | { update: OrderUpdated } | { snapshot: Order[] };

function reduce(sent: Kitchen, change: Change): Kitchen {
  const now = Date.now();
  if ('absence' in change) return forgetStatuses(sent);
  if ('update' in change) return update(sent, change.update);
  if ('snapshot' in change) return replaceWith(sent, change.snapshot, now);
  const { tabId, item } = change.added;
  return addOrder(sent, { tabId, items: [{ ...item, status: 'SENT' }] }, now);
}

function useVenue(socket: RealtimeSocket, { token, venue: id }: Credentials) {
  const [venue, setVenue] = useState<VenueState | null>(null);
  const [sent, change] = useReducer(reduce, EMPTY);
  const [problem, setProblem] = useState('');
  useEffect(() => {
    const added = (item: TabItemAdded) => change({ added: item });
    const updated = (next: OrderUpdated) => change({ update: next });
    const closed = ({ tabId }: TabClosed) =>
      setVenue((state) => state && { ...state, tabs: state.tabs.filter((tab) => tab.id !== tabId) });
    socket.on('tab:item-added', added);
    socket.on('kitchen:order-updated', updated);
    socket.on('tab:closed', closed);
    const leave = stayIn(socket, 'venue:join', () => ({ venueId: id }), {
      // What was missed comes as events.
      caughtUp: () => setProblem(''),
      anew: async () => {
        change({ absence: true });
        // Read once in the room: what this lacks comes as an event.
        const state = await read<VenueState>(`/demo/state?venue=${encodeURIComponent(id)}`, token);
        setVenue(state);
        change({ snapshot: state.orders });
        setProblem('');
      },
      refused: ({ message }) => setProblem(message),
    });
    return () => {
      leave();
      socket.off('tab:item-added', added);
      socket.off('kitchen:order-updated', updated);
      socket.off('tab:closed', closed);
    };
  }, [socket, token, id]);
  return { venue, sent, problem };
}

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

function PosTerminal({ socket, access }: { socket: RealtimeSocket; access: Credentials }) {
  const connection = useConnectionState(socket);
  const { venue, sent, problem } = useVenue(socket, access);
  const [picked, setPicked] = useState<string | null>(null);
  // A tab that has closed meanwhile takes no order.
  const tabId = venue?.tabs.some((tab) => tab.id === picked) ? picked : null;
  const [lines, setLines] = useState<Line[]>([]);
  return (
    <>
      <ConnectionBanner connection={connection} warning="what is shown may be out of date" onRetry={() => socket.connect()} />
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
              <button key={tab.id} data-testid="tab-option" aria-pressed={tab.id === tabId} onClick={() => setPicked(tab.id)}>
                {tabTitle(tab)}
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

const access = credentials('venue');
render(
  access ? <PosTerminal socket={connect(access.token)} access={access} /> : <NoCredentials />,
  document.getElementById('page')!,
);
