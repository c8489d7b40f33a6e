// Operations on bare websockets, for what a stock client would never send.
import WebSocket from 'ws';
import { client, put } from './clients.mjs';
import { EventLog } from './log.mjs';

const [PING, PONG] = ['2', '3'];

function rawWebsocket({ client: name, url, headers, timeoutMs = 5000 }) {
  const raw = new WebSocket(url, { headers, handshakeTimeout: timeoutMs });
  const log = new EventLog();
  put(name, { raw, log });
  raw.on('message', (data, isBinary) => {
    // Engine.IO's ping is answered and not recorded, so that tests can count frames.
    if (!isBinary && data.toString() === PING) raw.send(PONG);
    else log.add('$frame', [isBinary ? data : data.toString()]);
  });
  raw.on('close', (code, reason) => log.add('$close', [code, reason.toString()]));
  return new Promise((resolve) => {
    raw.on('open', () => resolve({ outcome: 'open' }));
    raw.on('unexpected-response', (_, response) => {
      resolve({ outcome: 'refused', status: response.statusCode });
      raw.terminate();
    });
    raw.on('error', (error) => resolve({ outcome: 'failed', message: error.message }));
  });
}

function bareWebsocket(name) {
  const { raw } = client(name);
  if (!raw) throw new Error(`${name} is no bare websocket`);
  return raw;
}

function frame({ text, binaryBase64, textRepeat }) {
  if (binaryBase64 !== undefined) return Buffer.from(binaryBase64, 'base64');
  if (!textRepeat) return text;
  const { prefix = '', char, times, suffix = '' } = textRepeat;
  return prefix + char.repeat(times) + suffix;
}

export const rawOperations = {
  rawWebsocket,
  rawSend: ({ client: name, ...content }) => void bareWebsocket(name).send(frame(content)),
  // Reads no more, as a client that hangs.
  rawPause: ({ client: name }) => void bareWebsocket(name).pause(),
};
