import { useState } from 'preact/hooks';
import type { EventSummary, Way, Witness } from './api';
import { api } from './api';
import { count, time } from './format';
import { open } from './route';
import { usePolled } from './use-polled';

export function EventList({ events }: { events: EventSummary[] }) {
  if (events.length === 0) return <p class="faint">None in memory.</p>;
  return (
    <ol class="events">
      {events.map((event) => (
        <li key={event.id}>
          {time(event.receivedAt)} <a href={open('way', event.id)}>{event.event}</a>{' '}
          <span class="faint">{event.offset ?? 'not stored'}</span>
        </li>
      ))}
    </ol>
  );
}

// Takes what a person has: a room, a room and an offset, or an event's id.
export function Search() {
  const [text, setText] = useState('');
  const [found, setFound] = useState<EventSummary[]>();
  const [fault, setFault] = useState('');
  const search = async () => {
    setFault('');
    setFound(undefined);
    const [what = '', offset] = text.trim().split(/\s+/);
    try {
      if (!what.includes(':')) location.hash = open('way', what);
      else if (offset) location.hash = open('way', (await api.wayAt(what, offset)).id);
      else setFound((await api.newest(what)).events);
    } catch {
      setFault('Nothing is known of it: it is not among the newest 100,000 events of this instance.');
    }
  };
  return (
    <section class="search" aria-label="A ticket's way">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void search();
        }}
      >
        <label>
          A ticket's way
          <input
            type="search"
            required
            placeholder="kitchen:c… · kitchen:c… 1.4x · an event's id"
            value={text}
            data-testid="way-text"
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <button type="submit" data-testid="way-search">
          Search
        </button>
      </form>
      {fault && (
        <p class="problem" role="alert">
          {fault}
        </p>
      )}
      {found && <EventList events={found} />}
    </section>
  );
}

const fates: Record<Witness['fate'], string> = {
  handed: 'handed over',
  held: 'kept while it read its past',
  behind: 'was behind',
  away: 'was away',
  left: 'had left the room',
};

function outcome(witness: Witness): string {
  const parts: string[] = [];
  if (witness.fate === 'handed') parts.push(time(witness.at));
  if (witness.fate === 'held') parts.push(witness.at ? `sent by ${time(witness.at)}` : 'not sent yet');
  if (witness.fate === 'behind') parts.push(witness.caughtUpAt ? `caught up by ${time(witness.caughtUpAt)}` : 'has not caught up');
  if (witness.since) parts.push(`since ${time(witness.since)}`);
  if (witness.connectionEndedAt) parts.push(`its connection ended ${time(witness.connectionEndedAt)}`);
  if (witness.cameBack) parts.push(`came back ${time(witness.cameBack.at)}, and was sent it then`);
  return parts.join('; ');
}

export function WayView({ id }: { id: string }) {
  const { answer: way, fault } = usePolled(() => api.wayOf(id), 2_000, [id]);
  if (fault) return <p class="problem">Nothing is known of this event.</p>;
  if (!way || way.id !== id) return <p class="faint">Asking …</p>;
  return (
    <div data-testid="way">
      <p>
        <b>{way.event}</b> to {way.rooms.map((room) => <a key={room} href={open('room', room)}>{room} </a>)}
        <span class="faint">{way.offset ?? 'not stored'}</span>
      </p>
      <Steps way={way} />
      <p>
        {Object.entries(way.counts)
          .filter(([, sessions]) => sessions > 0)
          .map(([fate, sessions]) => `${count(sessions)} ${fates[fate as Witness['fate']]}`)
          .join(', ') || 'Nobody was in its rooms.'}
        {!way.complete && ' (some are not remembered any more)'}
      </p>
      <ul class="witnesses">
        {way.sessions.map((witness) => (
          <li key={`${witness.id} ${witness.fate}`} data-fate={witness.fate}>
            <a href={open('session', witness.id)}>{witness.id}</a> <span class="faint">{witness.who}</span>{' '}
            <b>{fates[witness.fate]}</b> {outcome(witness)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Steps({ way }: { way: Way }) {
  const { publisher } = way;
  const from = publisher.kind === 'session' ? `${publisher.who ?? 'a session'} (${publisher.id ?? 'gone'})` : publisher.kind;
  return (
    <ol class="steps">
      <li>
        {time(way.receivedAt)} received from {from}
      </li>
      <li>{way.stored ? `${time(way.stored.at)} stored, ${way.stored.afterMs} ms after` : 'not stored'}</li>
      {way.relayed && (
        <li>
          {time(way.relayed.at)} relayed, {way.relayed.afterMs} ms after
        </li>
      )}
      {way.handed.map((handed) => (
        <li key={handed.thread}>
          {time(handed.at)} handed to {count(handed.sessions)} sessions, {handed.afterMs} ms after
        </li>
      ))}
    </ol>
  );
}
