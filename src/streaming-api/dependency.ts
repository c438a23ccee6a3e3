/** What a stream can wait for: a value of a semaphore, and what is known on the host of how it came about. */
import { MtiaError } from '../driver/index.js';
import type { StreamOrder } from '../memmgr/index.js';
import type { Frontier } from './recording.js';
import type { Semaphore } from './semaphores.js';

export interface Dependency {
  /** That reaches it; absent where anybody may. */
  readonly stream?: StreamOrder;
  readonly semaphore: Semaphore;
  readonly value: number | bigint;
  /** The host signals it, at a time of its own. */
  readonly hostSignals?: boolean;
  /** Of streams, what is done when it is reached; absent where that is not known. */
  readonly frontier?: Frontier;
  readonly reached: boolean;
  /** Of what came before it; known once `settled`. */
  readonly failure: MtiaError | undefined;
  /** Resolves when it is reached or will never be; never rejects. */
  readonly settled: Promise<void>;
}

/** The failure of work that depends on what has failed. */
export function abortedBy(cause: MtiaError): MtiaError {
  return new MtiaError('ABORTED', `what this work depends on had failed: ${cause.message}`, { cause });
}

/** An abort that the device reports: it does not know why. */
export function isDeviceAbort(error: MtiaError): boolean {
  return error.code === 'ABORTED' && error.cause === undefined && error.place?.command !== undefined;
}
