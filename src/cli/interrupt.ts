/** Ctrl-C and SIGTERM: what a command holds is released before the process ends. */

import { InterruptedError } from './errors.js';
import { EXIT } from './exit-codes.js';

const SIGNALS = { SIGINT: EXIT.INTERRUPTED, SIGTERM: EXIT.TERMINATED } as const;
type Signal = keyof typeof SIGNALS;

/**
 * Runs work and rejects early when a signal comes; `release` runs in either case, before this returns. A second signal
 * ends the process at once: somebody who presses Ctrl-C twice does not want to wait.
 */
export async function untilInterrupted<T>(work: () => Promise<T>, release: () => Promise<void>): Promise<T> {
  let interrupt: (error: InterruptedError) => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject;
  });
  let signals = 0;
  const onSignal = (signal: Signal): void => {
    signals += 1;
    if (signals > 1) process.exit(SIGNALS[signal]);
    interrupt(new InterruptedError(SIGNALS[signal]));
  };
  const names = Object.keys(SIGNALS) as Signal[];
  for (const name of names) process.on(name, onSignal);
  try {
    return await Promise.race([work(), interrupted]);
  } finally {
    await release();
    for (const name of names) process.off(name, onSignal);
  }
}
