/**
 * Listeners for abort signals, one on each signal however many runs share it: an event target warns of a leak beyond ten,
 * and a server's shutdown signal is shared by every request.
 */
import { describeValue, invalidArgument } from './errors.js';

type Listener = () => void;

/** Listeners of AbortSignals: one for each signal, however many commands it is given with. */
export class AbortListeners {
  readonly #listeners = new WeakMap<AbortSignal, Set<Listener>>();

  /** Calls the listener when the signal aborts, until the returned function is called. */
  add(signal: AbortSignal, listener: Listener): () => void {
    const listeners = this.#listeners.get(signal) ?? this.#listen(signal);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  #listen(signal: AbortSignal): Set<Listener> {
    const listeners = new Set<Listener>();
    this.#listeners.set(signal, listeners);
    signal.addEventListener('abort', () => {
      for (const listener of [...listeners]) listener();
    });
    return listeners;
  }
}

/** For programs that no compiler has checked. Throws INVALID_ARGUMENT. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw invalidArgument(`signal is ${describeValue(signal)}; give an AbortSignal`);
}
