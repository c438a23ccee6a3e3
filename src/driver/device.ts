/** One card with running firmware. */

import { pino } from 'pino';
import { firmwareVersionText, type Generation } from '../hw/index.js';
import type { Administration } from './administration.js';
import { Attachment } from './attachment.js';
import { boot, type CardResources, checkImage, diagnose, identify, type MemoryOptions, readResources } from './boot.js';
import type { Card, CardProperties, CardShare, Grid } from './card.js';
import { CardRegisters } from './card-registers.js';
import type { Context } from './context.js';
import { DeviceLife } from './device-life.js';
import { closedError, deviceError, invalidArgument, MtiaError } from './errors.js';
import type { FirmwareImage } from './firmware-image.js';
import { resetError } from './guarded-function.js';
import { type DeviceNotices, Notices, type ResetNotice } from './notices.js';
import type { PciFunction } from './pci-function.js';

/** How a card is booted and watched. */
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

const DEFAULT_DEADLINE_MS = 30_000;

/** A card with running firmware, as the driver sees it: contexts, interrupts, reset and loss. */
export class Device implements Card {
  readonly name: string;
  readonly generation: Generation;
  readonly grid: Grid;
  readonly firmwareVersion: string;
  readonly capabilities: bigint;
  readonly sramBytes: number;
  readonly scratchpadBytes: number;
  readonly lpddrBytes: number;
  readonly resources: CardResources;
  readonly #pci: PciFunction;
  readonly #firmware: FirmwareImage;
  readonly #options: DeviceOptions;
  readonly #logger: pino.Logger;
  readonly #registers: CardRegisters;
  readonly #notices: Notices;
  readonly #attachments = new Set<Attachment>();
  /** Element 0: resets so far, for threads that have attached the card as well. */
  readonly #resets = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  #life: DeviceLife;
  #resetting: Promise<void> | undefined;
  /** From the first notice of a reset to the second. */
  #unusable = false;
  #lost: Promise<MtiaError>;
  #announceLoss: (error: MtiaError) => void = () => undefined;
  #loss: MtiaError | undefined;
  #closing: Promise<void> | undefined;
  readonly #ending = new AbortController();

  /**
   * Boots the firmware on a card and takes the card over: closing the device closes it, and so does a failure here.
   */
  static async open(pci: PciFunction, firmware: FirmwareImage, options: DeviceOptions = {}): Promise<Device> {
    try {
      const registers = new CardRegisters(pci);
      const generation = identify(pci, registers);
      checkImage(firmware, generation);
      const resources = readResources(pci, registers);
      await boot(pci, registers, firmware, options.memory);
      return new Device(pci, registers, generation, resources, firmware, options);
    } catch (error) {
      pci.close();
      throw error;
    }
  }

  private constructor(
    pci: PciFunction,
    registers: CardRegisters,
    generation: Generation,
    resources: CardResources,
    firmware: FirmwareImage,
    options: DeviceOptions,
  ) {
    this.name = pci.name;
    this.#pci = pci;
    this.#registers = registers;
    this.#firmware = firmware;
    this.#options = options;
    this.#logger = (options.logger ?? pino({ level: 'silent' })).child({ device: pci.name });
    this.#notices = new Notices(this.#logger);
    this.generation = generation;
    this.resources = resources;
    const grid = registers.read32('GRID');
    this.grid = { columns: grid & 0xff, rows: (grid >>> 8) & 0xff };
    this.firmwareVersion = firmwareVersionText(registers.read32('FIRMWARE_VERSION'));
    this.capabilities = registers.read64('FIRMWARE_CAPABILITIES');
    this.sramBytes = Number(registers.read64('SRAM_BYTES'));
    this.scratchpadBytes = Number(registers.read64('SCRATCHPAD_BYTES'));
    this.lpddrBytes = Number(registers.read64('LPDDR_BYTES'));
    this.#lost = this.#awaitLoss();
    this.#life = this.#begin();
    this.#logger.info({ generation, firmware: this.firmwareVersion, ...resources }, 'device opened');
  }

  get lost(): Promise<MtiaError> {
    return this.#lost;
  }

  get resets(): number {
    return Atomics.load(this.#resets, 0);
  }

  async createContext(): Promise<Context> {
    this.#checkUsable();
    const context = await this.#life.createContext();
    this.#checkUsable();
    return context;
  }

  on<N extends keyof DeviceNotices>(name: N, listener: (notice: DeviceNotices[N]) => void): this {
    this.#notices.on(name, listener);
    return this;
  }

  off<N extends keyof DeviceNotices>(name: N, listener: (notice: DeviceNotices[N]) => void): this {
    this.#notices.off(name, listener);
    return this;
  }

  share(): CardShare {
    this.#checkUsable();
    const { queues, interruptVectors } = this.resources;
    if (interruptVectors < queues) {
      // An interrupt wakes one thread, and would have to wake several.
      throw invalidArgument(`${this.name} has fewer interrupt vectors than queues: one thread only can drive it`);
    }
    const attachment = new Attachment({
      pci: this.#pci,
      registers: this.#registers,
      deadlineMs: this.#deadlineMs,
      properties: this.#properties(),
      resets: this.#resets,
      administration: (life) => this.#administration(life),
      reset: (reason) => this.reset(reason),
      onLost: (life, error) => {
        if (life === this.resets) this.#lose(this.#life, error);
      },
    });
    this.#attachments.add(attachment);
    void attachment.ended.then(() => this.#attachments.delete(attachment));
    return attachment;
  }

  reset(reason = 'asked for'): Promise<void> {
    this.#resetting ??= this.#reset(reason).finally(() => {
      this.#resetting = undefined;
    });
    return this.#resetting;
  }

  /** Closes every context and the card. What is outstanding is rejected with DEVICE_CLOSED. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #reset(reason: string): Promise<void> {
    if (this.#closing !== undefined) throw closedError(this.#pci.name);
    this.#checkOnTheBus();
    const notice: ResetNotice = { resets: Atomics.add(this.#resets, 0, 1) + 1, reason };
    this.#logger.warn(notice, 'device is reset');
    this.#unusable = true;
    this.#notices.tell('resetting', notice);
    if (this.#attachments.size > 0) await this.#eachAttachment((attachment) => attachment.resetting(notice));
    this.#life.end(resetError(this.name, reason), () => this.#pci.functionReset());
    try {
      identify(this.#pci, this.#registers);
      await boot(this.#pci, this.#registers, this.#firmware, this.#options.memory, this.#ending.signal);
    } catch (cause) {
      if (this.#ending.signal.aborted) throw closedError(this.#pci.name);
      const loss = this.#diagnose() ?? deviceError('DEVICE_LOST', {}, { cause });
      this.#lose(this.#life, loss);
      throw loss;
    }
    this.#life = this.#begin();
    if (this.#loss !== undefined) this.#lost = this.#awaitLoss();
    this.#loss = undefined;
    this.#unusable = false;
    for (const attachment of this.#attachments) attachment.reset(notice);
    if (this.#closing === undefined) this.#notices.tell('reset', notice);
  }

  /** Neither a reset nor anything else reaches a card that is off the bus. */
  #checkOnTheBus(): void {
    const why = this.#diagnose();
    if (why === undefined || !this.#isOffTheBus()) return;
    this.#lose(this.#life, why);
    throw this.#loss ?? why;
  }

  #isOffTheBus(): boolean {
    try {
      return this.#registers.offTheBus;
    } catch {
      return true;
    }
  }

  #begin(): DeviceLife {
    return new DeviceLife({
      pci: this.#pci,
      registers: this.#registers,
      resources: this.resources,
      logger: this.#logger,
      deadlineMs: this.#deadlineMs,
      diagnose: () => this.#diagnose(),
      onLost: (life, error) => this.#lose(life, error),
    });
  }

  #awaitLoss(): Promise<MtiaError> {
    return new Promise((resolve) => {
      this.#announceLoss = resolve;
    });
  }

  async #close(): Promise<void> {
    // A card that is half booted is reset by whoever opens it next.
    this.#ending.abort();
    await this.#resetting?.catch(() => undefined);
    await this.#eachAttachment((attachment) => attachment.close());
    await this.#life.close();
    this.#pci.close();
    this.#logger.info('device closed');
  }

  /** A register that cannot even be read is a lost device as well. */
  #diagnose(): MtiaError | undefined {
    try {
      return diagnose(this.#registers);
    } catch (cause) {
      return deviceError('DEVICE_LOST', {}, { cause });
    }
  }

  #lose(life: DeviceLife, error: MtiaError): void {
    if (this.#loss !== undefined || life !== this.#life) return;
    // What the card itself says is nearer to the cause than the call that failed.
    const loss = this.#diagnose() ?? error;
    this.#loss = loss;
    this.#logger.error({ err: loss }, 'device lost');
    life.fail(loss);
    for (const attachment of this.#attachments) attachment.lost(loss);
    this.#announceLoss(loss);
  }

  get #deadlineMs(): number {
    return this.#options.deadlineMs ?? DEFAULT_DEADLINE_MS;
  }

  #properties(): CardProperties {
    const { name, generation, grid, firmwareVersion, capabilities } = this;
    const { sramBytes, scratchpadBytes, lpddrBytes, resources } = this;
    return {
      ...{ name, generation, grid, firmwareVersion, capabilities },
      ...{ sramBytes, scratchpadBytes, lpddrBytes, resources },
    };
  }

  /** Of what another thread made after `life` resets. */
  #administration(life: number): Administration {
    if (life !== this.resets || this.#unusable) throw resetError(this.name, 'by another thread');
    return this.#life.administration;
  }

  async #eachAttachment(step: (attachment: Attachment) => Promise<void>): Promise<void> {
    await Promise.all([...this.#attachments].map(step));
  }

  #checkUsable(): void {
    if (this.#closing !== undefined) throw closedError(this.#pci.name);
    if (this.#loss !== undefined) throw this.#loss;
    if (this.#unusable) {
      throw new MtiaError('DEVICE_RESET', `${this.#pci.name} is being reset; await reset() or its notice`);
    }
  }
}
