import { useState } from 'preact/hooks';
import type { Actor, Question, Tree } from './api';
import { count, duration, us } from './format';
import { open } from './route';

const columns = [
  { sort: 'name', title: 'Actor' },
  { sort: 'depth', title: 'Waiting' },
  { sort: 'high', title: 'Highest' },
  { sort: 'rate', title: 'Per second' },
  { sort: 'time', title: 'Handling p50 / p99' },
  { sort: 'lag', title: 'Lag' },
  { sort: 'restarts', title: 'Restarts' },
];

const kinds = ['', 'room', 'session', 'audience', 'registry', 'sequencer', 'rights', 'revocations', 'bridge'];

interface Props {
  tree: Tree | undefined;
  question: Question;
  ask: (change: Partial<Question>) => void;
}

export function TreeView({ tree, question, ask }: Props) {
  const [text, setText] = useState(question.q);
  return (
    <section class="tree" aria-label="Actors">
      <form
        class="filter"
        onSubmit={(event) => {
          event.preventDefault();
          ask({ q: text.trim(), limit: 100 });
        }}
      >
        <select
          aria-label="Kind"
          value={question.kind}
          onChange={(event) => ask({ kind: event.currentTarget.value, limit: 100 })}
        >
          {kinds.map((kind) => (
            <option key={kind} value={kind}>
              {kind || 'all kinds'}
            </option>
          ))}
        </select>
        <input
          type="search"
          placeholder="name or user"
          aria-label="Name or user"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit">Find</button>
        <span class="faint" data-testid="total">
          {tree ? `${count(tree.total)} actors` : ''}
        </span>
      </form>
      <div class="scroll">
        <table data-testid="tree">
          <thead>
            <tr>
              {columns.map(({ sort, title }) => (
                <th key={sort} aria-sort={question.sort === sort ? (sort === 'name' ? 'ascending' : 'descending') : undefined}>
                  <button type="button" data-sort={sort} onClick={() => ask({ sort, limit: 100 })}>
                    {title}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>{tree?.actors.map((actor) => <Row key={`${actor.kind} ${actor.name}`} actor={actor} />)}</tbody>
        </table>
      </div>
      {tree?.next && question.limit < 1000 && (
        <button type="button" class="more" onClick={() => ask({ limit: Math.min(1000, question.limit * 2) })}>
          More
        </button>
      )}
    </section>
  );
}

function Row({ actor }: { actor: Actor }) {
  const opens = actor.kind === 'room' || actor.kind === 'session';
  const name = actor.kind === actor.name ? '' : actor.name;
  const { depth, high } = actor.mailbox;
  return (
    <tr data-kind={actor.kind} data-name={actor.name} data-state={actor.state}>
      <td class="name">
        <span class="kind">{actor.kind}</span> {opens ? <a href={open(actor.kind, actor.name)}>{name}</a> : name}{' '}
        {actor.who && <span class="faint">{actor.who}</span>}
        {actor.state !== 'running' && <span class="state">{actor.state}</span>}
        {actor.sinceLookMs !== undefined && <span class="faint">looked {duration(actor.sinceLookMs)} ago</span>}
        {actor.lastFailure && <span class="failure">{actor.lastFailure}</span>}
      </td>
      <td class={depth > 100 ? 'warn' : 'figure'}>{count(depth)}</td>
      <td class="figure">{count(high)}</td>
      <td class="figure">{count(actor.handledPerSecond)}</td>
      <td class="figure">
        {us(actor.handlingUs.p50)} / {us(actor.handlingUs.p99)}
      </td>
      <td class={actor.lag > 0 && actor.kind === 'session' ? 'warn' : 'figure'}>{count(actor.lag)}</td>
      <td class={actor.restarts > 0 ? 'bad' : 'figure'}>{actor.restarts}</td>
    </tr>
  );
}
