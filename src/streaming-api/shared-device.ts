/** A device for several threads: what travels between them, and whose heaps its memory comes from. */
import type { MessagePort } from 'node:worker_threads';
import { type Card, type FirmwareImage, invalidArgument, type SharedCard } from '../driver/index.js';
import { DeviceHeaps, HeapLender, HeapOccupancy, type PageSource, type SharedHeaps } from '../memmgr/index.js';
import { toSharedMemory } from './executor/messages.js';

/**
 * A device on its way to another thread of the process, which may attach it once. Plain data for postMessage, with `ports` as
 * the transfer list.
 */
export interface SharedDevice {
  /** The driver's part. */
  readonly card: SharedCard;
  /** Where its memory comes from. */
  readonly heaps: SharedHeaps;
  /** The bundle that the card runs. */
  readonly firmware: FirmwareImage;
  /** Number of the card, as in enumerateDevices(). */
  readonly index: number;
  /** What postMessage takes as its transfer list. */
  readonly ports: readonly MessagePort[];
}

/** Where the contexts of a device get their pages from. */
export interface HeapAccess {
  /** For what is made from now on, until the next reset. */
  source(): PageSource;
}

/** The heaps of a card that this thread has opened. */
export class OwnHeaps implements HeapAccess {
  readonly occupancy = new HeapOccupancy();
  readonly #card: Card;
  #heaps: DeviceHeaps;

  constructor(card: Card) {
    this.#card = card;
    this.#heaps = this.source();
  }

  get heaps(): PageSource {
    return this.#heaps;
  }

  source(): DeviceHeaps {
    const { lpddrBytes, scratchpadBytes } = this.#card;
    this.#heaps = new DeviceHeaps({ lpddrBytes, sramBytes: scratchpadBytes }, this.occupancy);
    return this.#heaps;
  }
}

export function shareDevice({
  card,
  heaps,
  firmware,
  index,
}: Pick<SharedDevice, 'firmware' | 'index'> & { readonly card: Card; readonly heaps: OwnHeaps }): SharedDevice {
  const { shared, ended } = card.share();
  const lender = new HeapLender(() => heaps.heaps, heaps.occupancy, shared.deadlineMs);
  // Not before: until then the firmware may still have pages of it in the hands of the other thread's contexts.
  void ended.then(() => lender.close());
  return {
    card: shared,
    heaps: lender.shared,
    firmware: { ...firmware, bytes: toSharedMemory(firmware.bytes) },
    index,
    ports: [shared.port, lender.shared.port],
  };
}

/** Two devices of one thread on one pair of ports would take each other's answers. */
const attached = new WeakSet<MessagePort>();

/** Throws where this thread has attached the device before, by the same share. */
export function markAttached({ card: { port } }: SharedDevice): void {
  if (attached.has(port)) throw invalidArgument('the device was attached already; share() it once for each attach');
  attached.add(port);
}
