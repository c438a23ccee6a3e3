/** What a device tells all of its users before and after it is reset. */
import type pino from 'pino';
import { invalidArgument } from './errors.js';

/** A reset of the device, before or after it. */
export interface ResetNotice {
  /** Resets of this device so far, the one at hand included. */
  readonly resets: number;
  readonly reason: string;
}

/** What a device tells its listeners, by name. */
export interface DeviceNotices {
  /** Everything outstanding is about to be rejected with DEVICE_RESET, and whatever was made so far becomes useless. */
  readonly resetting: ResetNotice;
  /** The device works again: make contexts, queues, buffers and models anew. */
  readonly reset: ResetNotice;
}

type Listener<N extends keyof DeviceNotices> = (notice: DeviceNotices[N]) => void;

/** Listeners of a device. One that throws is logged and harms no other. */
export class Notices {
  readonly #logger: pino.Logger | undefined;
  readonly #listeners: { readonly [N in keyof DeviceNotices]: Set<Listener<N>> } = {
    resetting: new Set(),
    reset: new Set(),
  };

  constructor(logger: pino.Logger | undefined) {
    this.#logger = logger;
  }

  on<N extends keyof DeviceNotices>(name: N, listener: Listener<N>): void {
    if (!Object.hasOwn(this.#listeners, name) || typeof listener !== 'function')
      throw invalidArgument("a device calls functions before ('resetting') and after ('reset') each reset");
    this.#listeners[name].add(listener);
  }

  off<N extends keyof DeviceNotices>(name: N, listener: Listener<N>): void {
    this.#listeners[name]?.delete(listener);
  }

  /** One user's failure keeps the notice from no other. */
  tell<N extends keyof DeviceNotices>(name: N, notice: DeviceNotices[N]): void {
    for (const listener of [...this.#listeners[name]]) {
      try {
        listener(notice);
      } catch (error) {
        this.#logger?.error({ err: error, notice: name }, 'a listener failed');
      }
    }
  }
}
