import './admin.css';
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { House, Question } from './api';
import { api } from './api';
import { Confirmed } from './confirm';
import { RoomView, SessionView } from './detail';
import { count, duration } from './format';
import { Plots } from './plots';
import { problems } from './problems';
import type { Opened } from './route';
import { close, useOpened } from './route';
import { TreeView } from './tree';
import { usePolled } from './use-polled';
import { Search, WayView } from './way';

function Head({ house }: { house: House | undefined }) {
  return (
    <header>
      <h1>
        expeditor <span class="faint">{house?.version}</span>
      </h1>
      {house && (
        <p class="glance">
          <b data-testid="sessions">{count(house.sessions)}</b> sessions <b>{count(house.rooms)}</b> rooms, up{' '}
          {duration(house.uptimeMs)}
        </p>
      )}
      <Confirmed
        label="Drain"
        question="Stop this instance? Its clients are sent away evenly, and it ends when they have gone."
        act={api.drain}
      />
    </header>
  );
}

function Wrong({ house, fault, ask }: { house: House | undefined; fault: Error | undefined; ask: (sort: string) => void }) {
  if (fault) {
    return (
      <p class="wrong bad" role="alert">
        {fault.message}
      </p>
    );
  }
  if (!house) return <p class="wrong">Asking …</p>;
  const found = problems(house);
  if (found.length === 0) return <p class="wrong well">Nothing is wrong.</p>;
  return (
    <ul class="wrong" role="status" data-testid="problems">
      {found.map(({ text, bad, sort }) => (
        <li key={text} class={bad ? 'bad' : 'warn'}>
          {sort ? (
            <button type="button" onClick={() => ask(sort)}>
              {text}
            </button>
          ) : (
            text
          )}
        </li>
      ))}
    </ul>
  );
}

const titles: Record<string, string> = { room: 'Room', session: 'Session', way: 'An event’s way' };

function Panel({ opened }: { opened: Opened }) {
  useEffect(() => {
    const escape = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !document.querySelector('dialog[open]')) close();
    };
    addEventListener('keydown', escape);
    return () => removeEventListener('keydown', escape);
  }, []);
  return (
    <aside data-testid="panel" aria-label={titles[opened.kind]}>
      <div class="title">
        <h2>
          {titles[opened.kind]} <span>{opened.name}</span>
        </h2>
        <button type="button" aria-label="Close" onClick={close}>
          ✕
        </button>
      </div>
      {opened.kind === 'room' && <RoomView name={opened.name} />}
      {opened.kind === 'session' && <SessionView id={opened.name} />}
      {opened.kind === 'way' && <WayView id={opened.name} />}
    </aside>
  );
}

function Page() {
  const [question, setQuestion] = useState<Question>({ sort: 'depth', kind: '', q: '', limit: 100 });
  const { answer: tree, fault } = usePolled(() => api.tree(question), 2_000, [question]);
  const opened = useOpened();
  const ask = (change: Partial<Question>) => setQuestion({ ...question, ...change });
  return (
    <>
      <Head house={tree?.house} />
      <Wrong house={tree?.house} fault={fault} ask={(sort) => ask({ sort, kind: '', q: '', limit: 100 })} />
      <main class={opened ? 'with-panel' : ''}>
        <div>
          <Search />
          <Plots />
          <TreeView tree={tree} question={question} ask={ask} />
        </div>
        {opened && <Panel key={`${opened.kind} ${opened.name}`} opened={opened} />}
      </main>
    </>
  );
}

const page = document.getElementById('page');
if (page) render(<Page />, page);
