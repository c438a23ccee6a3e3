/** What users of a card see of it, in the thread that opened it and in those that it is shared with. */
import type { Generation } from '../hw/index.js';
import type { CardResources } from './boot.js';
import type { Context } from './context.js';
import type { MtiaError } from './errors.js';
import type { DeviceNotices } from './notices.js';
import type { SharedCard } from './shared-card.js';

/** Size of the grid of processing elements. */
export interface Grid {
  readonly columns: number;
  readonly rows: number;
}

/** What stays the same for as long as the card is open. */
export interface CardProperties {
  readonly name: string;
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
  readonly resources: CardResources;
}

/** A card for one other thread of the process. */
export interface CardShare {
  readonly shared: SharedCard;
  /** Resolves when that thread has ended, or has closed its part, and nothing that it had made is left. */
  readonly ended: Promise<void>;
}

/** A card with running firmware, in the thread that opened it (Device) or in another one (AttachedDevice). */
export interface Card extends CardProperties {
  /**
   * Resolves, with the reason, when the device has stopped working; stays pending otherwise. A device that `reset` has
   * brought back has another promise here.
   */
  readonly lost: Promise<MtiaError>;
  /** Resets so far. What was made before the latest one is refused with DEVICE_RESET. */
  readonly resets: number;
  createContext(): Promise<Context>;
  /** Calls the listener before (`resetting`) or after (`reset`) each reset of the device. */
  on<N extends keyof DeviceNotices>(name: N, listener: (notice: DeviceNotices[N]) => void): this;
  /** No call of the listener comes after it. */
  off<N extends keyof DeviceNotices>(name: N, listener: (notice: DeviceNotices[N]) => void): this;
  /**
   * Resets the card and boots its firmware again, also where the device was lost because its firmware had stopped. What is
   * outstanding, in whichever thread, is rejected with DEVICE_RESET, and so is every later use of what was made before. A
   * card that is off the bus stays lost. A call while a reset is under way waits for that one.
   */
  reset(reason?: string): Promise<void>;
  /**
   * AttachedDevice drives the card in the other thread. INVALID_ARGUMENT where the card can be driven by one thread only, or
   * was opened by another.
   */
  share(): CardShare;
  /** Closes what this thread has of the card, and the card itself where this thread opened it. Idempotent. */
  close(): Promise<void>;
}
