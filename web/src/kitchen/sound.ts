// A short double tone for a new ticket. Browsers allow sound only after a gesture.
let context: AudioContext | null = null;

export function turnOn(): void {
  context ??= new AudioContext();
  void context.resume();
}

export function turnOff(): void {
  void context?.suspend();
}

export function ring(): void {
  if (context?.state !== 'running') return;
  for (const [delay, pitch] of [[0, 880], [0.18, 1175]] as const) {
    const start = context.currentTime + delay;
    const [tone, volume] = [context.createOscillator(), context.createGain()];
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.25, start);
    volume.gain.exponentialRampToValueAtTime(0.001, start + 0.16);
    tone.connect(volume).connect(context.destination);
    tone.start(start);
    tone.stop(start + 0.17);
  }
}
