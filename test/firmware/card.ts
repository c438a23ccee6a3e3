/** An emulated card with running firmware, and short words for what tests do with it. */
import { encodeRectangle, ONE_PE, type Rectangle, WHOLE_GRID } from '../../src/conformance/session.js';
import {
  type Context,
  type DebugCalls,
  Device,
  type FirmwareImage,
  openEmulatorWithDebug,
  type Queue,
} from '../../src/driver/index.js';
import {
  bundlePath,
  EXTERNAL_KERNEL_ID,
  type ExternalKernelName,
  loadBundle,
  TEST_KERNELS_BUNDLE,
} from '../../src/firmware-emu/index.js';
import { type Generation, HOST_COMMAND, MEMORY_MAP, PROTECTION_PAGE_BYTES, RESERVED } from '../../src/hw/index.js';

export { encodeRectangle, ONE_PE, type Rectangle, WHOLE_GRID };

/** Memory of the first context that a test opens; each further context gets the pages behind. */
const PAGES = 16;
const HOST_BYTES = 1024 * 1024;
const FIRST_ADDRESS = MEMORY_MAP.LPDDR.base + BigInt(RESERVED.LPDDR_FIRMWARE_BYTES);

export const testKernels = (): FirmwareImage => loadBundle(bundlePath(TEST_KERNELS_BUNDLE));

/** Small, so that a test does not depend on how much memory the machine lets a process reserve. */
const LPDDR_BYTES = 1024 * 1024 * 1024;

export interface LaunchOptions {
  readonly rectangle?: Rectangle;
  readonly deadlineUs?: number;
  readonly queue?: Queue;
}

/** A context with one queue, pages of LPDDR and a mapped host buffer. */
export class Session {
  readonly context: Context;
  readonly queue: Queue;
  /** First of its own pages in LPDDR. */
  readonly memory: bigint;
  readonly iova: bigint;
  readonly host: Uint8Array;
  #launches = 0;

  private constructor(context: Context, queue: Queue, memory: bigint, iova: bigint, host: Uint8Array) {
    this.context = context;
    this.queue = queue;
    this.memory = memory;
    this.iova = iova;
    this.host = host;
  }

  /** With memory at an address, or at one that no other session has. */
  static async open(device: Device, address?: bigint): Promise<Session> {
    const context = await device.createContext();
    const queue = await context.createQueue();
    const memory = address ?? FIRST_ADDRESS + BigInt((context.id - 1) * PAGES * PROTECTION_PAGE_BYTES);
    await context.assignPages(memory, PAGES);
    const pages = context.allocateHost(HOST_BYTES);
    return new Session(context, queue, memory, context.mapHost(pages), pages.view);
  }

  /** Writes through a copy command of the device. */
  async write(address: bigint, bytes: Uint8Array): Promise<void> {
    this.host.set(bytes);
    await this.queue.submit({
      opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE,
      a: this.iova,
      b: address,
      c: bytes.byteLength,
    });
  }

  async read(address: bigint, bytes: number): Promise<Uint8Array> {
    await this.queue.submit({ opcode: HOST_COMMAND.COPY_DEVICE_TO_HOST, a: address, b: this.iova, c: bytes });
    return this.host.slice(0, bytes);
  }

  async readWords(address: bigint, count: number): Promise<bigint[]> {
    const bytes = await this.read(address, count * 8);
    return [...new BigUint64Array(bytes.buffer, 0, count)];
  }

  async writeWords(address: bigint, words: readonly bigint[]): Promise<void> {
    await this.write(address, new Uint8Array(BigUint64Array.from(words).buffer));
  }

  /** Writes the arguments to the end of the first page, one place after the other, and launches. */
  async launch(kernel: number, args: readonly bigint[] = [], options: LaunchOptions = {}): ReturnType<Queue['submit']> {
    const place = await this.#writeArguments(args);
    return this.#submitLaunch(kernel, place, args.length, options);
  }

  launchTest(
    kernel: ExternalKernelName,
    args?: readonly bigint[],
    options?: LaunchOptions,
  ): ReturnType<Queue['submit']> {
    return this.launch(EXTERNAL_KERNEL_ID[kernel], args, options);
  }

  /** Resolves when the command is submitted; `done` is its completion. */
  async launchTestWithoutWaiting(
    kernel: ExternalKernelName,
    args: readonly bigint[],
    queue: Queue,
    options: LaunchOptions = {},
  ): Promise<{ done: ReturnType<Queue['submit']> }> {
    const place = await this.#writeArguments(args);
    return { done: this.#submitLaunch(EXTERNAL_KERNEL_ID[kernel], place, args.length, { ...options, queue }) };
  }

  async #writeArguments(args: readonly bigint[]): Promise<bigint> {
    const place = this.memory + BigInt(PROTECTION_PAGE_BYTES - 512 * (1 + (this.#launches++ % 64)));
    if (args.length > 0) await this.writeWords(place, args);
    return place;
  }

  #submitLaunch(kernel: number, place: bigint, words: number, options: LaunchOptions): ReturnType<Queue['submit']> {
    return (options.queue ?? this.queue).submit({
      opcode: HOST_COMMAND.LAUNCH,
      a: kernel,
      b: words > 0 ? place : 0,
      c: words * 8,
      d: encodeRectangle(options.rectangle ?? ONE_PE),
      ...(options.deadlineUs === undefined ? {} : { deadlineUs: options.deadlineUs }),
    });
  }
}

export interface Card {
  readonly device: Device;
  readonly debug: DebugCalls;
}

/** threads: host threads that run PEs; the number of processors when absent. */
export async function openCard(
  generation: Generation,
  firmware: FirmwareImage = testKernels(),
  threads?: number,
): Promise<Card> {
  const { pci, debug } = openEmulatorWithDebug({
    generation,
    lpddrBytes: LPDDR_BYTES,
    ...(threads === undefined ? {} : { threads }),
  });
  return { device: await Device.open(pci, firmware), debug };
}
