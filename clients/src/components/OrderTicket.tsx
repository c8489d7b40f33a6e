import type { KitchenStatus } from '@/lib/realtime/events';
import type { KitchenOrder } from '@/lib/realtime/kitchen';

interface Props {
  order: KitchenOrder;
  onUpdateStatus: (tabItemId: string, status: KitchenStatus) => void;
  onBump: (tabItemId: string) => void;
}

/** The specification uses it and leaves it to the application; this one is plain. */
export function OrderTicket({ order, onUpdateStatus, onBump }: Props) {
  return (
    <article className="order-ticket" data-tab-id={order.tabId}>
      <time dateTime={order.timestamp.toISOString()}>{order.timestamp.toLocaleTimeString()}</time>
      <ul>
        {order.items.map(({ id, name, quantity, notes, status }) => (
          <li key={id} data-item-id={id} data-status={status}>
            {quantity}× {name} {notes}
            <button onClick={() => onUpdateStatus(id, 'IN_PROGRESS')}>Start</button>
            <button onClick={() => onUpdateStatus(id, 'READY')}>Ready</button>
            <button onClick={() => onBump(id)}>Bump</button>
          </li>
        ))}
      </ul>
    </article>
  );
}
