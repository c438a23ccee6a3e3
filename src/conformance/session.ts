/** A context with a queue, pages of LPDDR and mapped host memory, and short words for what cases do with them. */
import assert from 'node:assert/strict';
import type { Card, Command, CompletionRecord, Context, FirmwareImage, Queue } from '../driver/index.js';
import {
  encodeRectangle,
  HOST_COMMAND,
  MEMORY_MAP,
  PROTECTION_PAGE_BYTES,
  RESERVED,
  type Rectangle,
} from '../hw/index.js';
import { unsupported } from './case.js';
import { equalBytes } from './expectations.js';

export const ONE_PE: Rectangle = { column: 0, row: 0, columns: 1, rows: 1 };
export const WHOLE_GRID: Rectangle = { column: 0, row: 0, columns: 8, rows: 8 };
export const PAGE_BYTES = PROTECTION_PAGE_BYTES;
/** The first address that no firmware keeps for itself. */
export const FIRST_ADDRESS = MEMORY_MAP.LPDDR.base + BigInt(RESERVED.LPDDR_FIRMWARE_BYTES);

const PAGES = 64;
const HOST_BYTES = 4 * 1024 * 1024;
const ARGUMENT_BYTES = 512;

export interface LaunchOptions {
  readonly rectangle?: Rectangle;
  readonly deadlineUs?: number;
  readonly queue?: Queue;
}

/** A context with one queue, pages of LPDDR and a mapped host buffer. */
export class Session {
  readonly context: Context;
  readonly queue: Queue;
  /** First of its pages, which lie one behind the other. */
  readonly memory: bigint;
  readonly memoryBytes = PAGES * PAGE_BYTES;
  readonly iova: bigint;
  readonly host: Uint8Array;
  readonly #kernels: FirmwareImage['kernels'];
  #launches = 0;

  private constructor(
    context: Context,
    queue: Queue,
    memory: bigint,
    iova: bigint,
    host: Uint8Array,
    kernels: FirmwareImage['kernels'],
  ) {
    this.context = context;
    this.queue = queue;
    this.memory = memory;
    this.iova = iova;
    this.host = host;
    this.#kernels = kernels;
  }

  /** With pages from an address on, or with some that no other session of the device has. */
  static async open(
    device: Pick<Card, 'createContext'>,
    firmware: Pick<FirmwareImage, 'kernels'>,
    address?: bigint,
  ): Promise<Session> {
    const context = await device.createContext();
    const queue = await context.createQueue();
    const memory = address ?? FIRST_ADDRESS + BigInt((context.id - 1) * PAGES * PAGE_BYTES);
    await context.assignPages(memory, PAGES);
    const pages = context.allocateHost(HOST_BYTES);
    return new Session(context, queue, memory, context.mapHost(pages), pages.view, firmware.kernels);
  }

  submit(command: Command): Promise<CompletionRecord> {
    return this.queue.submit(command);
  }

  /** Host memory to device memory, through a copy command. */
  async write(address: bigint, bytes: Uint8Array): Promise<void> {
    this.host.set(bytes);
    await this.submit({ opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: this.iova, b: address, c: bytes.byteLength });
  }

  async read(address: bigint, bytes: number): Promise<Uint8Array> {
    this.host.fill(0xa5, 0, bytes);
    await this.submit({ opcode: HOST_COMMAND.COPY_DEVICE_TO_HOST, a: address, b: this.iova, c: bytes });
    return this.host.slice(0, bytes);
  }

  async readWords(address: bigint, count: number): Promise<readonly bigint[]> {
    const bytes = await this.read(address, count * 8);
    return [...new BigUint64Array(bytes.buffer, 0, count)];
  }

  async writeWords(address: bigint, words: readonly bigint[]): Promise<void> {
    await this.write(address, new Uint8Array(BigUint64Array.from(words).buffer));
  }

  async fill(address: bigint, bytes: number, pattern: number): Promise<void> {
    await this.submit({ opcode: HOST_COMMAND.FILL, a: pattern, b: address, c: bytes });
  }

  /** Writes bytes, reads them back and compares. */
  async roundTrip(address: bigint, bytes: Uint8Array): Promise<void> {
    await this.write(address, bytes);
    equalBytes(await this.read(address, bytes.byteLength), bytes, `device memory at 0x${address.toString(16)}`);
  }

  /** Number of a kernel of the bundle under test; a number stands for itself. */
  kernel(name: string | number): number {
    if (typeof name === 'number') return name;
    return this.#kernels.get(name) ?? unsupported(`the bundle has no kernel ${name}`);
  }

  /** Launches a kernel of the bundle with words as its arguments. */
  async launch(
    kernel: string | number,
    args: readonly bigint[] = [],
    options: LaunchOptions = {},
  ): Promise<CompletionRecord> {
    const { done } = await this.startLaunch(kernel, args, options);
    return done;
  }

  /** Resolves when the command is submitted; `done` is its completion. */
  async startLaunch(
    kernel: string | number,
    args: readonly bigint[] = [],
    { rectangle = ONE_PE, deadlineUs, queue = this.queue }: LaunchOptions = {},
  ): Promise<{ readonly done: Promise<CompletionRecord> }> {
    const id = this.kernel(kernel);
    const place = await this.#writeArguments(args);
    const done = queue.submit({
      opcode: HOST_COMMAND.LAUNCH,
      a: id,
      b: args.length > 0 ? place : 0,
      c: args.length * 8,
      d: encodeRectangle(rectangle),
      ...(deadlineUs === undefined ? {} : { deadlineUs }),
    });
    done.catch(() => undefined);
    return { done };
  }

  /** Proves that the processing elements of a rectangle still work: each records its number. */
  async expectWorking(rectangle: Rectangle = WHOLE_GRID): Promise<void> {
    const count = rectangle.columns * rectangle.rows;
    const first = BigInt(1000 + this.#launches);
    await this.launch('RECORD', [this.memory, first], { rectangle });
    const expected = Array.from({ length: count }, (_, index) => first + BigInt(index));
    assert.deepEqual(await this.readWords(this.memory, count), expected);
  }

  /** At the end of its pages, one place after the other. */
  async #writeArguments(args: readonly bigint[]): Promise<bigint> {
    const slot = this.#launches++ % (PAGE_BYTES / ARGUMENT_BYTES);
    const place = this.memory + BigInt(this.memoryBytes - ARGUMENT_BYTES * (slot + 1));
    if (args.length > 0) await this.writeWords(place, args);
    return place;
  }
}
