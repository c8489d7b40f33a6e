import { useEffect, useRef, useState } from 'react';
import { useSession } from 'next-auth/react';
import type { RealtimeSocket } from '@/lib/realtime/ask';
import { connect, type Connection } from '@/lib/realtime/connection';

/** The connection of the signed-in user; it lasts as long as the component and the user do. */
export function useSocket(): { socket: RealtimeSocket | null; connected: boolean } {
  const { data: session, update } = useSession();
  const [socket, setSocket] = useState<RealtimeSocket | null>(null);
  const [connected, setConnected] = useState(false);
  const connection = useRef<Connection | null>(null);
  const token = session?.accessToken;
  const user = session?.user?.id ?? session?.user?.email;
  const signedIn = Boolean(token);

  const latest = useRef({ token, update });
  useEffect(() => {
    latest.current = { token, update };
    if (token) connection.current?.setToken(token);
  }, [token, update]);

  // Not a new connection for a new token, which would forget what the old one could recover.
  useEffect(() => {
    const { token } = latest.current;
    if (!token) return;
    const opened = connect({
      url: process.env.NEXT_PUBLIC_SOCKET_URL || 'http://localhost:3002',
      token,
      renew: () => void latest.current.update?.()?.catch((error) => console.error('Session not renewed:', error)),
    });
    const { socket } = opened;
    connection.current = opened;
    socket.on('connect', () => setConnected(true));
    socket.on('disconnect', (reason) => {
      console.log('Socket disconnected:', reason);
      setConnected(false);
    });
    socket.on('connect_error', (error) => console.error('Socket not connected:', error.message));
    socket.on('error', (error) => console.error('Socket error:', error));
    setSocket(socket);
    return () => {
      connection.current = null;
      opened.close();
      setSocket(null);
      setConnected(false);
    };
  }, [signedIn, user]);

  return { socket, connected };
}
