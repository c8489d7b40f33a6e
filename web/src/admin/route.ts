import { useEffect, useState } from 'preact/hooks';

// What is opened stands in the address, so that it can be sent to a colleague: #room/…, #session/…, #way/…
export interface Opened {
  kind: string;
  name: string;
}

export function open(kind: string, name: string): string {
  return `#${kind}/${encodeURIComponent(name)}`;
}

function read(): Opened | undefined {
  const [kind, name] = location.hash.slice(1).split('/');
  return kind && name ? { kind, name: decodeURIComponent(name) } : undefined;
}

export function useOpened(): Opened | undefined {
  const [opened, setOpened] = useState(read());
  useEffect(() => {
    const changed = () => setOpened(read());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return opened;
}

export function close(): void {
  history.replaceState(null, '', location.pathname);
  dispatchEvent(new HashChangeEvent('hashchange'));
}
