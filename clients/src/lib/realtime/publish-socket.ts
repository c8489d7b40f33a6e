import { io } from 'socket.io-client';
import { ask, type RealtimeSocket } from './ask';
import { PATIENCE, gaveUp, isPassing, pause, type Numbered, type Patience, type Publisher, type Receipt } from './publisher';

/** Over a Socket.IO connection: many publishes may be under way at a time. */
export class SocketPublisher implements Publisher {
  readonly socket: RealtimeSocket;
  private readonly patience: Required<Patience>;

  constructor(url: string, token: string, patience: Patience = {}) {
    this.patience = { ...PATIENCE, ...patience };
    this.socket = io(url, { auth: { token }, transports: ['websocket', 'polling'], forceNew: true });
  }

  async publish(publish: Numbered): Promise<Receipt> {
    const deadline = Date.now() + this.patience.giveUpMs;
    while (Date.now() < deadline) {
      // Waited for here rather than in the library's buffer, whose entries lose their turn when they time out.
      const refusal = this.socket.connected ? null : await this.connected(deadline);
      if (refusal) return refusal;
      // When the connection goes, all that are under way fail in their order in one turn, and so wait,
      // and are sent again, in that order.
      const receipt = await ask(this.socket, 'broadcast', publish, this.patience.attemptMs);
      if (receipt.ok || !isPassing(receipt.error)) return receipt;
      if (this.socket.connected) await pause(receipt.error.retryAfterMs ?? this.patience.pauseMs);
    }
    return gaveUp();
  }

  close() {
    this.socket.close();
  }

  /** Resolves with null once connected, or with why that will not happen. */
  private connected(deadline: number): Promise<Receipt | null> {
    const { socket } = this;
    // After a refusal or an operator's hand the library leaves it to us to try again.
    if (!socket.active) socket.connect();
    return new Promise((resolve) => {
      const done = (result: Receipt | null) => {
        clearTimeout(timer);
        socket.off('connect', connected);
        socket.off('connect_error', failed);
        resolve(result);
      };
      const connected = () => done(null);
      const failed = ({ message }: Error) => {
        if (!socket.active) done({ ok: false, error: { code: 'FORBIDDEN', message } });
      };
      const timer = setTimeout(() => done(gaveUp()), deadline - Date.now());
      socket.on('connect', connected);
      socket.on('connect_error', failed);
    });
  }
}
