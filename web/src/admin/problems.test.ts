import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { House } from './api';
import { duration, us } from './format';
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
  waitingForLog: 0,
  draining: false,
};

test('nothing is said while nothing is wrong', () => {
  assert.deepEqual(problems(well), []);
});

test('the worst comes first', () => {
  const found = problems({ ...well, behind: 3, restarted: 1, away: ['bridge'], durable: false, waitingForLog: 1200 });
  assert.deepEqual(
    found.map(({ text }) => text),
    [
      'The database does not answer: 1,200 events wait for it',
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
