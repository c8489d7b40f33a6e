import { useState } from 'react';
import { OrderTicket } from './OrderTicket';
import { useKitchenOrders } from '@/hooks/useKitchenOrders';
import type { Answer } from '@/lib/realtime/events';
import { orderKey } from '@/lib/realtime/kitchen';
import { playNotificationSound } from '@/lib/sound';

export function KitchenDisplay({ venueId }: { venueId: string }) {
  const { orders, connected, updateOrderStatus, bumpOrder } = useKitchenOrders(venueId, playNotificationSound);
  const [problem, setProblem] = useState('');
  const told = async (asked: Promise<Answer>) => {
    const answer = await asked;
    setProblem(answer.ok ? '' : answer.error.message);
  };
  return (
    <div className="kitchen-display">
      <h1>Kitchen Orders</h1>
      {!connected && <p role="alert">Connection lost: orders may be missing. Reconnecting…</p>}
      {problem && <p role="alert">{problem}</p>}
      <div className="orders-grid">
        {orders.map((order) => (
          <OrderTicket
            key={orderKey(order)}
            order={order}
            onUpdateStatus={(tabItemId, status) => void told(updateOrderStatus(tabItemId, status))}
            onBump={(tabItemId) => void told(bumpOrder(tabItemId))}
          />
        ))}
      </div>
    </div>
  );
}
