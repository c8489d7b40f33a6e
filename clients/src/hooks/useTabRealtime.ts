import { useEffect, useRef } from 'react';
import { useSocket } from './useSocket';
import { api } from '@/lib/trpc/react';
import type { TabClosed, TabItemAdded, TabStatusChanged } from '@/lib/realtime/events';
import { stayIn } from '@/lib/realtime/room';

/** Keeps the tab's query fresh while the component is there, and goes to the receipt when the tab closes. */
export function useTabRealtime(tabId: string) {
  const { socket } = useSocket();
  const utils = api.useUtils();
  const refetch = useRef<() => void>(() => {});
  useEffect(() => {
    refetch.current = () => void utils.tab.getByAccessToken.invalidate();
  });

  // Not on `connected`: handlers that go with the connection miss what comes when it returns.
  useEffect(() => {
    if (!socket) return;
    // The query is read again rather than set from the event: after an absence events come in a
    // bunch, and an older one must not put older totals over newer ones.
    const changed = (payload: TabItemAdded | TabStatusChanged) => {
      if (payload.tabId === tabId) refetch.current();
    };
    const closed = (payload: TabClosed) => {
      if (payload.tabId === tabId) window.location.href = payload.receiptUrl;
    };
    socket.on('tab:item-added', changed);
    socket.on('tab:status-changed', changed);
    socket.on('tab:closed', closed);
    const leave = stayIn(socket, 'tab', { tabId }, () => refetch.current());
    return () => {
      leave();
      socket.off('tab:item-added', changed);
      socket.off('tab:status-changed', changed);
      socket.off('tab:closed', closed);
    };
  }, [socket, tabId]);
}
