import './guest.css';
import { render } from 'preact';
import { useEffect, useReducer, useState } from 'preact/hooks';
import { ConnectionBanner, ConnectionLight, NoCredentials } from '../shared/banner';
import { connect, credentials, read, useConnectionState, type RealtimeSocket } from '../shared/connection';
import { stayIn } from '../shared/room';
import { price, tabTitle } from '../shared/text';
import type { TabClosed, TabItem, TabItemAdded, TabState, TabStatusChanged } from '../shared/types';
import { NOTHING, isClosed, isInKitchen, progress, reduce, type GuestTab } from './tab';

interface Access {
  token: string;
  tab: string;
}

const PROGRESS_MS = 4000;

/** The tab: read on entering its room, and kept up by events. */
function useTab(socket: RealtimeSocket, { token, tab: tabId }: Access) {
  const [tab, change] = useReducer(reduce, NOTHING);
  const [problem, setProblem] = useState('');
  const readAgain = async () =>
    change({ read: await read<TabState>(`/demo/tab?tab=${encodeURIComponent(tabId)}`, token) });

  useEffect(() => {
    const mine = <Payload extends { tabId: string }>(handle: (payload: Payload) => void) => (payload: Payload) => {
      if (payload.tabId === tabId) handle(payload);
    };
    const added = mine((payload: TabItemAdded) => change({ added: payload }));
    const changed = mine((payload: TabStatusChanged) => change({ status: payload }));
    const closed = mine((payload: TabClosed) => change({ closed: payload }));
    socket.on('tab:item-added', added);
    socket.on('tab:status-changed', changed);
    socket.on('tab:closed', closed);
    const leave = stayIn(socket, 'tab:join', () => ({ tabId }), {
      // What was missed comes as events.
      caughtUp: () => setProblem(''),
      anew: async () => {
        await readAgain();
        setProblem('');
      },
      refused: ({ message }) => setProblem(message),
    });
    return () => {
      leave();
      socket.off('tab:item-added', added);
      socket.off('tab:status-changed', changed);
      socket.off('tab:closed', closed);
    };
  }, [socket, token, tabId]);

  const cooking = isInKitchen(tab);
  useEffect(() => {
    if (!cooking) return;
    const look = () => {
      // A phone in a pocket asks for nothing.
      if (socket.connected && document.visibilityState === 'visible') readAgain().catch(() => {});
    };
    const timer = setInterval(look, PROGRESS_MS);
    document.addEventListener('visibilitychange', look);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', look);
    };
  }, [socket, token, tabId, cooking]);
  return { tab, problem };
}

function Items({ items }: { items: TabItem[] }) {
  if (items.length === 0) return <p class="empty" data-testid="no-items">Nothing ordered yet. It shows up here as soon as you do.</p>;
  return (
    <ul class="items" aria-live="polite">
      {items.map((item) => (
        <li key={item.id} data-testid="tab-item" data-item-id={item.id} data-status={item.status}>
          <span class="quantity">{item.quantity}×</span>
          <span class="name">{item.name}</span>
          <span class="amount">{price(item.quantity * item.priceCents)}</span>
          <span class="status">{progress(item)}</span>
        </li>
      ))}
    </ul>
  );
}

function Totals({ tab }: { tab: TabState['tab'] }) {
  const line = (name: string, cents: number, id?: string) => (
    <div class={id}>
      <dt>{name}</dt>
      <dd data-testid={id}>{price(cents)}</dd>
    </div>
  );
  return (
    <dl class="totals">
      {line('Subtotal', tab.subtotalCents)}
      {line('Tax', tab.taxCents)}
      {tab.tipCents > 0 && line('Tip', tab.tipCents)}
      {line('Total', tab.totalCents, 'total')}
    </dl>
  );
}

function Closed({ receipt }: { receipt: string | null }) {
  return (
    <section class="closed" data-testid="tab-closed">
      <h2>Thank you — this tab is closed</h2>
      {receipt && <a href={receipt} rel="noreferrer">Open the receipt</a>}
    </section>
  );
}

function Sheet({ tab }: { tab: GuestTab }) {
  const { state, receipt } = tab;
  if (!state) return <p class="empty">One moment…</p>;
  return (
    <>
      {isClosed(tab) && <Closed receipt={receipt} />}
      <Items items={state.items} />
      <Totals tab={state.tab} />
    </>
  );
}

function GuestPage({ socket, access }: { socket: RealtimeSocket; access: Access }) {
  const connection = useConnectionState(socket);
  const { tab, problem } = useTab(socket, access);
  return (
    <>
      <ConnectionBanner connection={connection} warning="your tab may have changed" onRetry={() => socket.connect()} />
      <header>
        <h1>
          {tab.state?.venue.name ?? 'Your tab'}
          {tab.state && <small>{tabTitle(tab.state.tab)}</small>}
        </h1>
        <ConnectionLight connection={connection} />
      </header>
      <main class="sheet">
        {problem && <p class="problem" role="alert">{problem}</p>}
        <Sheet tab={tab} />
      </main>
    </>
  );
}

const access = credentials('tab');
render(
  access ? <GuestPage socket={connect(access.token)} access={access} /> : <NoCredentials />,
  document.getElementById('page')!,
);
