/** One card with running firmware. */

import { pino } from 'pino';
import { firmwareVersionText, type Generation } from '../hw/index.js';
import { Administration } from './administration.js';
import { boot, checkImage, diagnose, identify, type MemoryOptions } from './boot.js';
import { CardRegisters } from './card-registers.js';
import { Context } from './context.js';
import { closedError, deviceError, type MtiaError } from './errors.js';
import type { FirmwareImage } from './firmware-image.js';
import type { PciFunction } from './pci-function.js';
import { Watchdog } from './watchdog.js';

export interface DeviceOptions {
  /** Where events are logged; nowhere when absent. */
  readonly logger?: pino.Logger;
  /**
   * Milliseconds that the oldest command of a queue may take, beyond its own deadline, before the device counts as not
   * answering; 30 s when absent. Time in which a debugger holds the chip does not count.
   */
  readonly deadlineMs?: number;
  /** How the card's memories are set up; as after a reset when absent. */
  readonly memory?: MemoryOptions;
}

export interface Grid {
  readonly columns: number;
  readonly rows: number;
}

const DEFAULT_DEADLINE_MS = 30_000;

export class Device {
  readonly generation: Generation;
  readonly grid: Grid;
  /** Version that the running firmware reports. */
  readonly firmwareVersion: string;
  /** Bit n: the firmware implements host command n. */
  readonly capabilities: bigint;
  readonly sramBytes: number;
  /** Bytes of SRAM that are addressable; the rest caches the LPDDR. */
  readonly scratchpadBytes: number;
  readonly lpddrBytes: number;
  /** Resolves, with the reason, when the device has stopped working for good. Stays pending otherwise. */
  readonly lost: Promise<MtiaError>;
  readonly #pci: PciFunction;
  readonly #logger: pino.Logger;
  readonly #registers: CardRegisters;
  readonly #watchdog: Watchdog;
  readonly #administration: Administration;
  readonly #contexts = new Set<Context>();
  #announceLoss: (error: MtiaError) => void = () => undefined;
  #loss: MtiaError | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Boots the firmware on a card and takes the card over: closing the device closes it, and so does a failure here.
   */
  static async open(pci: PciFunction, firmware: FirmwareImage, options: DeviceOptions = {}): Promise<Device> {
    try {
      const registers = new CardRegisters(pci);
      const generation = identify(pci, registers);
      checkImage(firmware, generation);
      await boot(pci, registers, firmware, options.memory);
      return new Device(pci, registers, generation, options);
    } catch (error) {
      pci.close();
      throw error;
    }
  }

  private constructor(pci: PciFunction, registers: CardRegisters, generation: Generation, options: DeviceOptions) {
    this.#pci = pci;
    this.#registers = registers;
    this.#logger = (options.logger ?? pino({ level: 'silent' })).child({ device: pci.name });
    this.generation = generation;
    const grid = registers.read32('GRID');
    this.grid = { columns: grid & 0xff, rows: (grid >>> 8) & 0xff };
    this.firmwareVersion = firmwareVersionText(registers.read32('FIRMWARE_VERSION'));
    this.capabilities = registers.read64('FIRMWARE_CAPABILITIES');
    this.sramBytes = Number(registers.read64('SRAM_BYTES'));
    this.scratchpadBytes = Number(registers.read64('SCRATCHPAD_BYTES'));
    this.lpddrBytes = Number(registers.read64('LPDDR_BYTES'));
    this.lost = new Promise((resolve) => {
      this.#announceLoss = resolve;
    });
    this.#watchdog = new Watchdog({
      deviceTime: () => registers.read64('DEVICE_TIME'),
      diagnose: () => this.#diagnose(),
      onLost: (error) => this.#lose(error),
    });
    this.#administration = new Administration({
      pci,
      registers,
      watchdog: this.#watchdog,
      logger: this.#logger,
      deadlineMs: options.deadlineMs ?? DEFAULT_DEADLINE_MS,
      onLost: (error) => this.#lose(error),
    });
    this.#logger.info({ generation, firmware: this.firmwareVersion }, 'device opened');
  }

  async createContext(): Promise<Context> {
    this.#checkUsable();
    const id = await this.#administration.createContext();
    this.#checkUsable();
    const context = new Context(id, this.#pci, this.#administration, (closed, destroyed) => {
      this.#contexts.delete(closed);
      if (destroyed) this.#administration.releaseContext(closed.id);
    });
    this.#contexts.add(context);
    return context;
  }

  /** Closes every context and the card. What is outstanding is rejected with DEVICE_CLOSED. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    try {
      for (const context of [...this.#contexts]) await this.#closeContext(context);
      await this.#administration.queue.close();
    } catch (error) {
      // Only a lost device refuses; the card itself is still closed.
      this.#logger.warn({ err: error }, 'device did not close in order');
    } finally {
      this.#watchdog.stop();
      this.#pci.close();
      this.#logger.info('device closed');
    }
  }

  async #closeContext(context: Context): Promise<void> {
    try {
      await context.close();
    } catch (error) {
      this.#logger.warn({ context: context.id, err: error }, 'context did not close in order');
    }
  }

  /** A register that cannot even be read is a lost device as well. */
  #diagnose(): MtiaError | undefined {
    try {
      return diagnose(this.#registers);
    } catch (cause) {
      return deviceError('DEVICE_LOST', {}, { cause });
    }
  }

  #lose(error: MtiaError): void {
    if (this.#loss !== undefined) return;
    // What the card itself says is nearer to the cause than the call that failed.
    const loss = this.#diagnose() ?? error;
    this.#loss = loss;
    this.#logger.error({ err: loss }, 'device lost');
    this.#watchdog.stop();
    this.#administration.failAll(loss);
    this.#announceLoss(loss);
  }

  #checkUsable(): void {
    if (this.#closing !== undefined) throw closedError(this.#pci.name);
    if (this.#loss !== undefined) throw this.#loss;
  }
}
