/** Runs single kernels of the firmware bundle on an emulated card, through the driver, over one stretch of device memory. */
import { afterAll, beforeAll } from 'vitest';
import type { Context, DebugCalls, Device, Queue } from '../../src/driver/index.js';
import { bundlePath, DEFAULT_BUNDLE, loadBundle } from '../../src/firmware-emu/index.js';
import {
  encodeRectangle,
  encodeStruct,
  type FieldValue,
  type Generation,
  HOST_COMMAND,
  KERNEL_ID,
  type KernelName,
  MEMORY_MAP,
  PROTECTION_PAGE_BYTES,
  RESERVED,
  type StructLayout,
} from '../../src/hw/index.js';
import { openCard } from './card.js';

export interface KernelLaunch {
  readonly kernel: KernelName;
  readonly layout: StructLayout;
  readonly values: Record<string, FieldValue>;
  /** The fields of `values` that are offsets in the memory. */
  readonly addresses: readonly string[];
  readonly rectangle: {
    readonly columns: number;
    readonly rows: number;
    readonly column?: number;
    readonly row?: number;
  };
  readonly memory: Uint8Array;
}

const PAGES = 512;
const BASE = MEMORY_MAP.LPDDR.base + BigInt(RESERVED.LPDDR_FIRMWARE_BYTES);
/** The first page holds the arguments. */
const MEMORY_BASE = BASE + BigInt(PROTECTION_PAGE_BYTES);
const HOST_BYTES = 16 * 1024 * 1024;

export class KernelBench {
  readonly generation: Generation;
  readonly debug: DebugCalls;
  readonly #device: Device;
  readonly #queue: Queue;
  readonly #iova: bigint;
  readonly #host: Uint8Array;

  private constructor(device: Device, debug: DebugCalls, queue: Queue, iova: bigint, host: Uint8Array) {
    this.generation = device.generation;
    this.debug = debug;
    this.#device = device;
    this.#queue = queue;
    this.#iova = iova;
    this.#host = host;
  }

  static async open(generation: Generation, bundle = DEFAULT_BUNDLE): Promise<KernelBench> {
    const { device, debug } = await openCard(generation, loadBundle(bundlePath(bundle)));
    const context: Context = await device.createContext();
    await context.assignPages(BASE, PAGES);
    const pages = context.allocateHost(HOST_BYTES);
    return new KernelBench(device, debug, await context.createQueue(), context.mapHost(pages), pages.view);
  }

  /** The memory after the job. */
  async run({ kernel, layout, values, addresses, rectangle, memory }: KernelLaunch): Promise<Uint8Array> {
    const placed = { ...values };
    for (const name of addresses) placed[name] = BigInt(values[name] as number) + MEMORY_BASE;
    const args = new Uint8Array(layout.size);
    encodeStruct(layout, new DataView(args.buffer), 0, placed);
    await this.#write(BASE, args);
    await this.#write(MEMORY_BASE, memory);
    await this.#queue.submit({
      opcode: HOST_COMMAND.LAUNCH,
      a: KERNEL_ID[kernel],
      b: BASE,
      c: args.byteLength,
      d: encodeRectangle({ column: 0, row: 0, ...rectangle }),
    });
    await this.#queue.submit({
      opcode: HOST_COMMAND.COPY_DEVICE_TO_HOST,
      a: MEMORY_BASE,
      b: this.#iova,
      c: memory.byteLength,
    });
    return this.#host.slice(0, memory.byteLength);
  }

  async #write(address: bigint, bytes: Uint8Array): Promise<void> {
    this.#host.set(bytes);
    await this.#queue.submit({
      opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE,
      a: this.#iova,
      b: address,
      c: bytes.byteLength,
    });
  }

  async close(): Promise<void> {
    await this.#device.close();
  }
}

/** One bench of each generation, open while the tests of the surrounding `describe` run. */
export function benchesOfBothGenerations(): readonly KernelBench[] {
  const benches: KernelBench[] = [];
  beforeAll(async () => {
    benches.push(await KernelBench.open('v1'), await KernelBench.open('2i'));
  });
  afterAll(async () => {
    for (const bench of benches) await bench.close();
  });
  return benches;
}
