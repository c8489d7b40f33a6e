// The order that the terminal is putting together.
import type { Dish } from '../shared/types';

export interface Line {
  dish: Dish;
  quantity: number;
  note: string;
}

const MOST = 99;

export function add(lines: Line[], dish: Dish): Line[] {
  const known = lines.some((line) => line.dish.menuItemId === dish.menuItemId);
  return known ? changeQuantity(lines, dish, 1) : [...lines, { dish, quantity: 1, note: '' }];
}

/** A line of quantity 0 goes. */
export function changeQuantity(lines: Line[], dish: Dish, by: number): Line[] {
  return lines
    .map((line) => (line.dish === dish || line.dish.menuItemId === dish.menuItemId
      ? { ...line, quantity: Math.min(MOST, line.quantity + by) }
      : line))
    .filter((line) => line.quantity > 0);
}

export function setNote(lines: Line[], dish: Dish, note: string): Line[] {
  return lines.map((line) => (line.dish.menuItemId === dish.menuItemId ? { ...line, note } : line));
}

/** Sends the order; resolves with what went wrong, or with null. */
export async function send(token: string, tabId: string, lines: Line[]): Promise<string | null> {
  const items = lines.map(({ dish, quantity, note }) => ({
    menuItemId: dish.menuItemId,
    name: dish.name,
    quantity,
    unitPriceCents: dish.priceCents,
    notes: note || undefined,
  }));
  try {
    const response = await fetch('/demo/orders', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ tabId, items }),
    });
    if (response.ok) return null;
    const answer = await response.json().catch(() => null);
    return answer?.error?.message ?? `The server answered ${response.status}`;
  } catch {
    return 'The server cannot be reached — the order is kept here';
  }
}
