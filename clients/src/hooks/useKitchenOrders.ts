import { useEffect, useRef, useState } from 'react';
import { useSocket } from './useSocket';
import { ask, unavailable } from '@/lib/realtime/ask';
import type { Answer, KitchenOrders, KitchenStatus, NewOrder, OrderUpdated } from '@/lib/realtime/events';
import { addOrder, applyUpdate, fromSnapshot, type Orders } from '@/lib/realtime/kitchen';
import { stayIn } from '@/lib/realtime/room';

/** The logic of the kitchen display. `onNewOrder` is called once for each order that is new to it. */
export function useKitchenOrders(venueId: string, onNewOrder?: (order: NewOrder) => void) {
  const { socket, connected } = useSocket();
  const [orders, setOrders] = useState<Orders>([]);
  const announce = useRef(onNewOrder);
  useEffect(() => {
    announce.current = onNewOrder;
  });

  useEffect(() => {
    if (!socket) return;
    // Held here as well, so that it is known at once whether an order is new.
    let current: Orders = [];
    const show = (next: Orders) => setOrders((current = next));
    const ordered = (order: NewOrder) => {
      if (order.venueId !== venueId) return;
      const next = addOrder(current, order, new Date());
      if (next === current) return;
      show(next);
      announce.current?.(order);
    };
    const updated = (update: OrderUpdated) => show(applyUpdate(current, update));
    const snapshot = (state: KitchenOrders) => {
      if (state.venueId === venueId) show(fromSnapshot(state, new Date()));
    };
    socket.on('kitchen:new-order', ordered);
    socket.on('kitchen:order-updated', updated);
    socket.on('kitchen:orders', snapshot);
    // `kitchen:orders` follows an entry by itself: there is nothing to fetch.
    const leave = stayIn(socket, 'kitchen', { venueId }, () => {});
    return () => {
      leave();
      socket.off('kitchen:new-order', ordered);
      socket.off('kitchen:order-updated', updated);
      socket.off('kitchen:orders', snapshot);
      setOrders([]);
    };
  }, [socket, venueId]);

  const offline = async (): Promise<Answer> => unavailable('Not connected');
  return {
    orders,
    connected,
    updateOrderStatus: (tabItemId: string, status: KitchenStatus): Promise<Answer> =>
      socket ? ask(socket, 'kitchen:update-status', { tabItemId, status }) : offline(),
    bumpOrder: (tabItemId: string): Promise<Answer> =>
      socket ? ask(socket, 'kitchen:bump', { tabItemId }) : offline(),
  };
}
