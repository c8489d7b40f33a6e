// A session that a test sets.
import { useSyncExternalStore } from 'react';
import type { Session } from '../../wiring/next-auth';

let session: Session | null = null;
let renewals = 0;
let renewed: () => Session | null = () => session;
const listeners = new Set<() => void>();

export function setSession(next: Session | null) {
  session = next;
  listeners.forEach((listener) => listener());
}

/** What `update` comes back with. */
export function onRenewal(answer: () => Session | null) {
  renewals = 0;
  renewed = answer;
}

export const renewalCount = () => renewals;

const update = async () => {
  renewals += 1;
  setSession(renewed());
  return session;
};

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export function useSession() {
  return { data: useSyncExternalStore(subscribe, () => session), status: 'authenticated', update };
}
