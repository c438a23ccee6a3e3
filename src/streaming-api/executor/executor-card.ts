/** The card of an executor: its own, or one of the caller's; and what becomes of it. */
import { describeValue, invalidArgument, MtiaError } from '../../driver/index.js';
import { Device } from '../device.js';
import type { SharedDevice } from '../shared-device.js';
import type { ExecutorLimits, ExecutorOptions } from './executor-options.js';

/** Losses of a card of its own, with no batch in between, after which the executor gives it up. */
const MOST_LOSSES = 3;
/** Batches that saturate the processors leave the event loop its turn. */
const NICENESS = 5;

const CARD_FAILURES: ReadonlySet<string> = new Set<MtiaError['code']>([
  'DEVICE_LOST',
  'DEVICE_RESET',
  'DEVICE_CLOSED',
  'FIRMWARE_PANIC',
  'WATCHDOG_EXPIRED',
]);

/** The card is to blame, not the request or the thread. */
export function isCardFailure(error: unknown): boolean {
  return error instanceof MtiaError && CARD_FAILURES.has(error.code);
}

export interface CardListener {
  /** The card is lost or being reset: nothing can run. */
  down(): void;
  /** It works again, with nothing on it. */
  up(): void;
  /** Nobody here brings it back: the executor has given up, or it is the caller's to reset. */
  lost(error: MtiaError): void;
}

export class ExecutorCard {
  readonly device: Device;
  readonly #own: boolean;
  #listener: CardListener | undefined;
  #losses = 0;
  #closing = false;
  readonly #onResetting = (): void => this.#listener?.down();
  readonly #onReset = (): void => {
    this.#watch();
    this.#listener?.up();
  };

  static async open(options: ExecutorOptions, limits: ExecutorLimits): Promise<ExecutorCard> {
    const { device, generation, firmware, allowUnsignedFirmware = false } = options;
    if (device !== undefined) {
      if (!(device instanceof Device)) throw invalidArgument(`expected a Device, got ${describeValue(device)}`);
      const given = (['generation', 'firmware', 'allowUnsignedFirmware', 'peThreads'] as const).find(
        (name) => options[name] !== undefined,
      );
      if (given !== undefined)
        throw invalidArgument(`${given} is that of the device already; leave one of the two out`);
      return new ExecutorCard(device, false);
    }
    const threads = limits.peThreads;
    const own = await Device.open({
      allowUnsignedFirmware,
      niceness: NICENESS,
      ...(generation === undefined ? {} : { generation }),
      ...(threads === undefined ? {} : { threads }),
      ...(firmware === undefined ? {} : { firmware }),
    });
    return new ExecutorCard(own, true);
  }

  private constructor(device: Device, own: boolean) {
    this.device = device;
    this.#own = own;
    device.on('resetting', this.#onResetting);
    device.on('reset', this.#onReset);
  }

  listen(listener: CardListener): void {
    this.#listener = listener;
    this.#watch();
  }

  share(): SharedDevice {
    return this.device.share();
  }

  /** A batch has come back: what was lost before is history. */
  worked(): void {
    this.#losses = 0;
  }

  /** Closes a card of its own; the caller's stays open. */
  async close(): Promise<void> {
    this.#closing = true;
    this.device.off('resetting', this.#onResetting);
    this.device.off('reset', this.#onReset);
    if (this.#own) await this.device.close();
  }

  #watch(): void {
    const { device } = this;
    void device.lost.then((error) => this.#onLost(error));
  }

  async #onLost(error: MtiaError): Promise<void> {
    if (this.#closing) return;
    this.#listener?.down();
    if (!this.#own || ++this.#losses > MOST_LOSSES) {
      this.#listener?.lost(error);
      return;
    }
    try {
      await this.device.reset(`the executor brings it back: ${error.code}`);
    } catch {
      if (!this.#closing) this.#listener?.lost(error);
    }
  }
}
