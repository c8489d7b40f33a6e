import { useState } from 'preact/hooks';
import { ask, type RealtimeSocket } from '../shared/connection';
import { elapsedLabel, nextStatus, urgency, type Ticket, type TicketItem } from '../shared/tickets';
import type { Failure } from '../shared/types';

const URGENCY_LABELS = { calm: '', soon: 'soon', late: 'late' };
const STATUS_LABELS: Record<string, string> = { SENT: 'tap to start', IN_PROGRESS: 'cooking', READY: 'ready — tap to bump' };

interface Props {
  ticket: Ticket;
  title: string;
  now: number;
  socket: RealtimeSocket;
}

/** One ticket. The display changes when the event comes back, from this display or another. */
export function TicketCard({ ticket, title, now, socket }: Props) {
  const [pending, setPending] = useState<ReadonlySet<string>>(new Set());
  const [problem, setProblem] = useState<Failure | null>(null);
  const age = now - ticket.since;

  const send = async (items: TicketItem[], request: (item: TicketItem) => Promise<Failure | null>) => {
    setPending(new Set(items.map((item) => item.id)));
    const failures = await Promise.all(items.map(request));
    setPending(new Set());
    setProblem(failures.find((failure) => failure !== null) ?? null);
  };
  const bump = (item: TicketItem) => ask(socket, 'kitchen:bump', { tabItemId: item.id });
  const tap = (item: TicketItem) => {
    const status = nextStatus(item.status);
    return status === 'DELIVERED' ? bump(item) : ask(socket, 'kitchen:update-status', { tabItemId: item.id, status });
  };

  return (
    <article class={`ticket ${urgency(age)}`} data-testid="ticket" data-tab-id={ticket.tabId}>
      <h2>
        {title}
        <span class="elapsed">
          {elapsedLabel(age)}
          <small>{URGENCY_LABELS[urgency(age)]}</small>
        </span>
      </h2>
      <ul class="items">
        {ticket.items.map((item) => (
          <li key={item.id}>
            <button
              class="item"
              data-testid="item"
              data-item-id={item.id}
              data-status={item.status}
              aria-busy={pending.has(item.id)}
              disabled={pending.has(item.id)}
              onClick={() => void send([item], tap)}
            >
              <span class="quantity">{item.quantity}×</span>
              <span>{item.name}</span>
              <span class="status">{STATUS_LABELS[item.status]}</span>
              {item.modifiers.length > 0 && <span class="detail">{item.modifiers.join(' · ')}</span>}
              {item.notes && <span class="note">⚠ {item.notes}</span>}
            </button>
          </li>
        ))}
      </ul>
      {problem && <p class="problem" role="alert">{problem.message}</p>}
      <button class="bump" data-testid="bump" disabled={pending.size > 0} onClick={() => void send(ticket.items, bump)}>
        Bump
      </button>
    </article>
  );
}
