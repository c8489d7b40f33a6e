import { unavailable } from './ask';
import type { Answer, Failure, Publish, Published } from './events';

export type Receipt = Answer<Published>;
/** What a publisher sends: every publish has its `id`, which all of its repeats carry. */
export type Numbered = Publish & { id: string };

/** Sends publishes, again and again with the same ids, until they are answered. */
export interface Publisher {
  /** Never rejects. Publishes that go the same way keep their order. */
  publish(publish: Numbered): Promise<Receipt>;
  close(): void;
}

export interface Patience {
  /** How long a publish is tried; within the 24 hours in which its id is known. */
  giveUpMs?: number;
  /** How long one attempt may take. */
  attemptMs?: number;
  /** Between attempts that the service turned down for the moment. */
  pauseMs?: number;
}

export const PATIENCE: Required<Patience> = { giveUpMs: 300_000, attemptMs: 10_000, pauseMs: 500 };

export const gaveUp = (): Receipt => unavailable('The service could not be reached');

/** Whether the same publish may succeed later. */
export const isPassing = ({ code }: Failure) => code === 'UNAVAILABLE' || code === 'RATE_LIMITED' || code === 'INTERNAL';

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
