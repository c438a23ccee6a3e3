/**
 * Where the arguments of a stream's launches lie. The host writes them to a slot of pinned memory, a copy command takes
 * them to a slot on the device, the launch reads them there.
 *
 * A stream's commands run in order, so the slots on the device may be reused in order without asking whether a launch is
 * done. Those on the host are written ahead of the stream: each stays taken until its copy has completed.
 */
import { invalidArgument } from '../driver/index.js';
import { JOB_ARGUMENT_WORDS } from '../hw/index.js';
import type { DeviceAllocation, PinnedBuffer, PinnedMemory } from '../memmgr/index.js';
import { DeviceBuffer } from './device-buffer.js';
import type { LaunchArgument } from './launch.js';

const SLOT_BYTES = JOB_ARGUMENT_WORDS * 8;
const DEVICE_SLOTS = 64;
const CHUNK_BYTES = 64 * 1024;

/** Bytes of device memory that a stream needs for its slots. */
export const ARGUMENT_BYTES = DEVICE_SLOTS * SLOT_BYTES;

export interface ArgumentSlot {
  /** Addresses stay below 2^53; as numbers they cost a launch no allocation. */
  readonly iova: number;
  readonly bytes: Uint8Array;
  readonly words: BigUint64Array;
  readonly halves: Uint32Array;
  readonly floats: Float32Array;
}

const TWO_TO_64 = 1n << 64n;
const TWO_TO_32 = 2 ** 32;

export class ArgumentSlots {
  readonly #pinned: PinnedMemory;
  readonly #device: DeviceAllocation;
  readonly #deviceSlots: readonly number[];
  readonly #chunks: PinnedBuffer[] = [];
  readonly #free: ArgumentSlot[] = [];
  #next = 0;

  constructor(pinned: PinnedMemory, device: DeviceAllocation) {
    this.#pinned = pinned;
    this.#device = device;
    this.#deviceSlots = Array.from({ length: DEVICE_SLOTS }, (_, i) => Number(device.address) + i * SLOT_BYTES);
  }

  /** A free slot of pinned memory. */
  take(): ArgumentSlot {
    if (this.#free.length === 0) this.#grow();
    return this.#free.pop() as ArgumentSlot;
  }

  give(slot: ArgumentSlot): void {
    this.#free.push(slot);
  }

  /** Device address for the next launch. */
  nextDeviceSlot(): number {
    const address = this.#deviceSlots[this.#next] ?? 0;
    this.#next = (this.#next + 1) % DEVICE_SLOTS;
    return address;
  }

  /** Nothing that uses the slots may be outstanding. */
  close(): void {
    for (const chunk of this.#chunks) chunk.free();
    this.#device.free();
  }

  #grow(): void {
    const chunk = this.#pinned.allocate(CHUNK_BYTES);
    this.#chunks.push(chunk);
    const { buffer, byteOffset } = chunk.view;
    for (let offset = 0; offset < CHUNK_BYTES; offset += SLOT_BYTES) {
      this.#free.push({
        iova: Number(chunk.iova) + offset,
        bytes: new Uint8Array(buffer, byteOffset + offset, SLOT_BYTES),
        words: new BigUint64Array(buffer, byteOffset + offset, JOB_ARGUMENT_WORDS),
        halves: new Uint32Array(buffer, byteOffset + offset, JOB_ARGUMENT_WORDS * 2),
        floats: new Float32Array(buffer, byteOffset + offset, JOB_ARGUMENT_WORDS * 2),
      });
    }
  }
}

/** Writes the arguments to the slot; gives their size in bytes. */
export function writeArguments(slot: ArgumentSlot, args: readonly LaunchArgument[] | Uint8Array): number {
  const bytes = args instanceof Uint8Array ? args.byteLength : args.length * 8;
  if (bytes > SLOT_BYTES || bytes % 8 !== 0) {
    throw invalidArgument(`arguments take whole 64-bit words and at most ${SLOT_BYTES} bytes, got ${bytes} bytes`);
  }
  if (args instanceof Uint8Array) slot.bytes.set(args);
  else for (let index = 0; index < args.length; index++) writeArgument(slot, index, args[index]);
  return bytes;
}

function writeArgument(slot: ArgumentSlot, index: number, argument: LaunchArgument | undefined): void {
  if (typeof argument === 'number' && Number.isSafeInteger(argument)) {
    // Two's complement, as a C integer argument would be.
    slot.halves[index * 2] = argument;
    slot.halves[index * 2 + 1] = Math.floor(argument / TWO_TO_32);
  } else if (typeof argument === 'bigint') {
    if (argument >= TWO_TO_64 || argument < -TWO_TO_64 / 2n) {
      throw invalidArgument(`launch argument ${index} is ${argument}; a word has 64 bits`);
    }
    slot.words[index] = argument;
  } else if (argument instanceof DeviceBuffer) {
    slot.words[index] = argument.address;
  } else if (typeof argument === 'object' && argument?.type === 'f32') {
    slot.floats[index * 2] = argument.value;
    slot.halves[index * 2 + 1] = 0;
  } else {
    throw invalidArgument(`launch argument ${index} is ${argument}; pass an integer, a DeviceBuffer or f32(value)`);
  }
}
