import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { Point } from './api';
import { api } from './api';
import { usePolled } from './use-polled';

interface Line {
  label: string;
  colour: string;
  of: (point: Point) => number | null;
}

interface Chart {
  title: string;
  lines: Line[];
}

const charts: Chart[] = [
  { title: 'Connections', lines: [{ label: 'sessions', colour: '--act', of: (p) => p.connections }] },
  {
    title: 'Events per second',
    lines: [
      { label: 'delivered', colour: '--calm', of: (p) => p.deliveredPerSecond },
      { label: 'published', colour: '--act', of: (p) => p.publishedPerSecond },
    ],
  },
  {
    title: 'Receipt to socket, ms',
    lines: [
      { label: 'p99', colour: '--soon', of: (p) => p.latencyP99Ms },
      { label: 'p50', colour: '--calm', of: (p) => p.latencyP50Ms },
    ],
  },
  { title: 'Deepest mailbox', lines: [{ label: 'messages', colour: '--act', of: (p) => p.mailboxDepth }] },
  { title: 'Waiting for the log', lines: [{ label: 'events', colour: '--soon', of: (p) => p.logLag }] },
];

const HOUR = 3_600;

// Keeps the last hour; the server sends what is new.
function useSeries(): Point[] {
  const points = useRef<Point[]>([]);
  const ask = async () => {
    const last = points.current.at(-1)?.at ?? 0;
    const { points: added } = await api.series(last);
    const first = (added.at(-1)?.at ?? last) - HOUR;
    points.current = [...points.current, ...added].filter(({ at }) => at >= first);
    return points.current;
  };
  return usePolled(ask, 5_000, []).answer ?? [];
}

// Canvases know nothing of style sheets: they are drawn anew when light turns dark.
function useTheme(): boolean {
  const [dark, setDark] = useState(matchMedia('(prefers-color-scheme: dark)').matches);
  useEffect(() => {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const changed = () => setDark(query.matches);
    query.addEventListener('change', changed);
    return () => query.removeEventListener('change', changed);
  }, []);
  return dark;
}

function colour(name: string): string {
  const probe = document.createElement('i');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const clock = (seconds: number) => new Date(seconds * 1_000).toLocaleTimeString('en-GB');

function options({ lines }: Chart, width: number): uPlot.Options {
  const axis = { stroke: colour('--faint'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: 130,
    legend: { show: false },
    cursor: { y: false, sync: { key: 'expeditor' } },
    scales: { y: { range: (_, __, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [
      { ...axis, size: 26, space: 70, values: (_, ticks) => ticks.map(clock) },
      { ...axis, size: 48, space: 28 },
    ],
    series: [{}, ...lines.map(({ label, colour: name }) => ({ label, stroke: colour(name), width: 1.5, points: { show: false } }))],
  };
}

function Plot({ chart, points, dark }: { chart: Chart; points: Point[]; dark: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>();
  const data = (): uPlot.AlignedData => [points.map(({ at }) => at), ...chart.lines.map(({ of }) => points.map(of))];
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(options(chart, element.clientWidth), data(), element);
    plot.current = made;
    const watcher = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: 130 }));
    watcher.observe(element);
    return () => {
      watcher.disconnect();
      made.destroy();
    };
  }, [dark]);
  useEffect(() => plot.current?.setData(data()), [points]);
  const newest = points.at(-1);
  const figure = ({ of, label, colour: name }: Line) => (
    <span key={label} style={{ color: `var(${name})` }}>
      {label} <b>{newest ? (of(newest) ?? '–').toLocaleString('en', { maximumFractionDigits: 2 }) : '–'}</b>
    </span>
  );
  return (
    <figure>
      <figcaption>
        {chart.title} <span class="figures">{chart.lines.map(figure)}</span>
      </figcaption>
      <div ref={place} class="plot" />
    </figure>
  );
}

export function Plots() {
  const points = useSeries();
  const dark = useTheme();
  return (
    <section class="plots" aria-label="The last hour">
      {charts.map((chart) => (
        <Plot key={chart.title} chart={chart} points={points} dark={dark} />
      ))}
    </section>
  );
}
