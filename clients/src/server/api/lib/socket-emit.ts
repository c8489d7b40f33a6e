import {
  ROOM, type NewOrderItem, type Notification, type Publish, type TabClosed, type TabItemAdded, type TabStatusChanged,
} from '@/lib/realtime/events';
import { SocketPublisher } from '@/lib/realtime/publish-socket';
import type { Publisher, Receipt } from '@/lib/realtime/publisher';

/**
 * Publishes from the backend. Each method resolves once the service has stored the event, and
 * never rejects, so that a caller need not wait for it; what could not be published is logged.
 *
 * An event for two rooms is one publish: it takes its place in both in one step, and a session
 * in both gets it once.
 */
export class SocketEmitter {
  private static publisher: Publisher | null = null;

  /** Another way than the socket: `SocketEmitter.use(new HttpPublisher(url, secret))`. */
  static use(publisher: Publisher) {
    this.publisher?.close();
    this.publisher = publisher;
  }

  /** Emit tab item added event: to the customer's tab, and to the venue's staff. */
  static emitTabItemAdded(payload: TabItemAdded): Promise<Receipt> {
    return this.publish({ rooms: tabAndVenue(payload), event: 'tab:item-added', payload });
  }

  /** Emit tab status changed. */
  static emitTabStatusChanged(payload: TabStatusChanged): Promise<Receipt> {
    return this.publish({ rooms: tabAndVenue(payload), event: 'tab:status-changed', payload });
  }

  /** Emit tab closed. */
  static emitTabClosed(payload: TabClosed): Promise<Receipt> {
    return this.publish({ rooms: tabAndVenue(payload), event: 'tab:closed', payload });
  }

  /** Emit new order to kitchen. */
  static emitNewOrder(payload: {
    venueId: string;
    tabId: string;
    items: NewOrderItem[];
    timestamp?: string;
  }): Promise<Receipt> {
    return this.publish({ room: ROOM.kitchen(payload.venueId), event: 'kitchen:new-order', payload });
  }

  /** Emit notification to user. */
  static emitNotification(payload: { userId: string; notification: Notification }): Promise<Receipt> {
    return this.publish({
      room: ROOM.user(payload.userId),
      event: 'notification:new',
      payload: payload.notification,
    });
  }

  private static async publish(publish: Publish): Promise<Receipt> {
    this.publisher ??= new SocketPublisher(
      process.env.SOCKET_SERVER_URL || 'http://localhost:3002',
      process.env.SOCKET_SERVER_SECRET ?? '',
    );
    const receipt = await this.publisher.publish({ ...publish, id: crypto.randomUUID() });
    if (!receipt.ok) console.error(`${publish.event} not published:`, receipt.error.message);
    return receipt;
  }
}

function tabAndVenue({ tabId, venueId }: { tabId: string; venueId: string }) {
  return [ROOM.tab(tabId), ROOM.venue(venueId)];
}
