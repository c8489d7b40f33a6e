import type { ConnectionState } from './connection';

/** Not to be overlooked while the page may be missing something; absent while all is well. */
export function ConnectionBanner({ connection, warning, onRetry }: {
  connection: ConnectionState;
  /** What may be wrong with the page meanwhile. */
  warning: string;
  onRetry: () => void;
}) {
  if (connection.state === 'lost') {
    return (
      <div class="banner" role="alert" data-testid="connection-banner">
        Connection lost — {warning}. Reconnecting…
      </div>
    );
  }
  if (connection.state === 'refused') {
    return (
      <div class="banner" role="alert" data-testid="connection-banner">
        Not connected: {connection.reason} <button onClick={onRetry}>Connect again</button>
      </div>
    );
  }
  return null;
}

const LABELS = { connecting: 'Connecting…', connected: 'Live', lost: 'Lost', refused: 'Refused' };

export function ConnectionLight({ connection }: { connection: ConnectionState }) {
  return (
    <span class={`light ${connection.state}`} data-testid="connection-state" data-state={connection.state}>
      {LABELS[connection.state]}
    </span>
  );
}

export function NoCredentials() {
  return (
    <main class="notice">
      <h1>This link is incomplete</h1>
      <p>Open the page with the link that the server prints: it carries the token.</p>
    </main>
  );
}
