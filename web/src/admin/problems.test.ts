import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { House } from './api';
import { duration, time, us } from './format';
import { problems } from './problems';

const well: House = {
  version: '1',
  uptimeMs: 1,
  sessions: 1,
  rooms: 1,
  behind: 0,
  restarted: 0,
  away: [],
  durable: true,
  awaySince: null,
  heldBack: 0,
  waitingForLog: 0,
  draining: false,
};

test('nothing is said while nothing is wrong', () => {
  assert.deepEqual(problems(well), []);
});

test('the worst comes first', () => {
  const awaySince = '2026-01-02T03:04:05.006Z';
  const found = problems({ ...well, behind: 3, restarted: 1, away: ['bridge'], durable: false, awaySince, waitingForLog: 1200, heldBack: 1150 });
  assert.deepEqual(
    found.map(({ text }) => text),
    [
      `The database has not answered since ${time(awaySince)}: 1,200 events wait for it, 1,150 of them went out unstored`,
      'Redis does not relay: other instances are told late, through the database',
      'One actor was started again',
      '3 sessions are behind',
    ],
  );
});

test('figures are short', () => {
  assert.equal(us(null), '–');
  assert.equal(us(1_234), '1.2 ms');
  assert.equal(duration(3_700_000), '1 h 1 min');
});
