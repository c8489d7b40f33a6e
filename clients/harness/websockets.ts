// Imported first: socket.io-client takes `WebSocket` when it is loaded.
const websockets = new Set<WebSocket>();

window.WebSocket = class extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    websockets.add(this);
  }
};

/** Closes every connection under the library. */
export const drop = () => websockets.forEach((websocket) => websocket.close());
