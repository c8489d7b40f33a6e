// A document for React, loaded before React is (`node --import`).
import { JSDOM } from 'jsdom';

const { window } = new JSDOM('<!doctype html><body></body>', { url: 'http://localhost/' });
Object.assign(globalThis, { window, document: window.document });
Object.defineProperty(globalThis, 'navigator', { value: window.navigator, configurable: true });

// jsdom makes no sound: what the page plays is counted.
globalThis.soundCount = 0;
globalThis.AudioContext = class {
  currentTime = 0;
  constructor() {
    globalThis.soundCount += 1;
  }
  createOscillator = () => ({ frequency: { value: 0 }, connect() {}, start() {}, stop() {} });
  close = async () => {};
};
