// What is wrong, in one line each, the worst first.
import type { House } from './api';
import { count, time } from './format';

export interface Problem {
  text: string;
  bad: boolean;
  // How to sort the tree to see it.
  sort?: string;
}

const missing: Record<string, string | undefined> = {
  bridge: 'Redis does not relay: other instances are told late, through the database',
  rights: 'Rights cannot be read again: who was let in stays in',
  revocations: 'Revocations cannot be read: who was let in stays in',
};

export function problems(house: House): Problem[] {
  const found: Problem[] = [];
  if (!house.durable) {
    const since = `The database has not answered since ${time(house.awaySince)}`;
    const waits = `${count(house.waitingForLog)} events wait for it, ${count(house.heldBack)} of them went out unstored`;
    found.push({ text: `${since}: ${waits}`, bad: true });
  }
  for (const kind of house.away) found.push({ text: missing[kind] ?? `${kind} is away`, bad: true });
  if (house.draining) found.push({ text: 'The instance is stopping', bad: true });
  if (house.restarted > 0) {
    const actors = house.restarted === 1 ? 'One actor was' : `${count(house.restarted)} actors were`;
    found.push({ text: `${actors} started again`, bad: true, sort: 'restarts' });
  }
  if (house.behind > 0) {
    const sessions = house.behind === 1 ? 'One session is' : `${count(house.behind)} sessions are`;
    found.push({ text: `${sessions} behind`, bad: false, sort: 'lag' });
  }
  return found;
}
