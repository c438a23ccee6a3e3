/** A card between two boots: what a reset ends as a whole, and what a new boot begins with. */
import type pino from 'pino';
import { Administration } from './administration.js';
import type { CardResources } from './boot.js';
import type { CardRegisters } from './card-registers.js';
import { Context, closeContexts } from './context.js';
import type { MtiaError } from './errors.js';
import type { PciFunction } from './pci-function.js';
import { Watchdog } from './watchdog.js';

export interface DeviceLifeParts {
  readonly pci: PciFunction;
  readonly registers: CardRegisters;
  readonly resources: CardResources;
  readonly logger: pino.Logger;
  readonly deadlineMs: number;
  /** Why the device is lost; undefined while it is well. */
  diagnose(): MtiaError | undefined;
  onLost(life: DeviceLife, error: MtiaError): void;
}

export class DeviceLife {
  readonly #parts: DeviceLifeParts;
  readonly #watchdog: Watchdog;
  readonly #administration: Administration;
  readonly #contexts = new Set<Context>();

  constructor(parts: DeviceLifeParts) {
    const { registers } = parts;
    const onLost = (error: MtiaError): void => parts.onLost(this, error);
    this.#parts = parts;
    this.#watchdog = new Watchdog({
      deviceTime: () => registers.read64('DEVICE_TIME'),
      diagnose: () => parts.diagnose(),
      onLost,
    });
    this.#administration = new Administration({ ...parts, watchdog: this.#watchdog, onLost });
  }

  get administration(): Administration {
    return this.#administration;
  }

  async createContext(): Promise<Context> {
    const id = await this.#administration.createContext();
    const context = new Context(id, this.#parts.pci, this.#administration, (closed, destroyed) => {
      this.#contexts.delete(closed);
      if (destroyed) this.#administration.releaseContext(closed.id);
    });
    this.#contexts.add(context);
    return context;
  }

  /** Rejects everything outstanding, because the device does not work any more. */
  fail(error: MtiaError): void {
    this.#watchdog.stop();
    this.#administration.failAll(error);
  }

  /**
   * Rejects everything outstanding and makes all that was made in this life useless.
   *
   * @param resetCard runs between that and the release of the host memory that the card could reach
   */
  end(error: MtiaError, resetCard: () => void): void {
    this.#watchdog.stop();
    this.#administration.retire(error);
    this.#contexts.clear();
    try {
      resetCard();
    } finally {
      this.#administration.abandon();
    }
  }

  /** Ends every context in order, as far as the device still does. */
  async close(): Promise<void> {
    try {
      await closeContexts(this.#contexts, this.#parts.logger);
      await this.#administration.queue.close();
    } catch (error) {
      // Only a lost device refuses; the card itself is still closed.
      this.#parts.logger.warn({ err: error }, 'device did not close in order');
    } finally {
      this.#watchdog.stop();
    }
  }
}
