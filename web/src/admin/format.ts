// Figures as a person reads them.

export function us(value: number | null): string {
  if (value === null) return '–';
  if (value < 1) return '<1 µs';
  if (value < 1_000) return `${Math.round(value)} µs`;
  return `${(value / 1_000).toFixed(value < 10_000 ? 1 : 0)} ms`;
}

export function count(value: number): string {
  return value.toLocaleString('en');
}

export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`;
}

export function bytes(value: number): string {
  if (value < 1_000) return `${value} B`;
  if (value < 1_000_000) return `${(value / 1_000).toFixed(1)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

// Times of day to the millisecond: an event's way takes few of them.
export function time(iso: string | null | undefined): string {
  if (!iso) return '–';
  const at = new Date(iso);
  const clock = at.toLocaleTimeString('en-GB');
  return `${clock}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}
