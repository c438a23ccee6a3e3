/** Checking mode of a device: its commands on a queue of their own, and an eye on the commands of streams. */
import type { Command, Context, FirmwareImage, Queue } from '../driver/index.js';
import { HOST_COMMAND } from '../hw/index.js';
import type { DeviceMemory } from '../memmgr/index.js';
import { type MemoryAccess, MemoryChecker, type MemoryReport, type PinnedMemory } from '../memmgr/index.js';

/** Checking mode of Device.open. */
export interface MemoryCheckOptions {
  /** Called with every report as it is found; a process warning when absent. */
  readonly onReport?: (report: MemoryReport) => void;
}

/** A device that is stuck is closed without a last look at its memory. */
const LAST_CHECK_MS = 1000;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(HOST_COMMAND).map(([name, opcode]) => [opcode, name]),
);
/** Commands that write device memory. */
const WRITING = /^(LAUNCH|GRAPH_LAUNCH|FILL|COPY_.*)$/;

function warn(report: MemoryReport): void {
  process.emitWarning(report.message, 'MtiaMemoryWarning');
}

class QueueAccess implements MemoryAccess {
  readonly #queue: Queue;
  readonly #pinned: PinnedMemory;

  constructor(queue: Queue, pinned: PinnedMemory) {
    this.#queue = queue;
    this.#pinned = pinned;
  }

  async fill(address: bigint, bytes: number, pattern: number): Promise<void> {
    await this.#queue.submit({ opcode: HOST_COMMAND.FILL, a: pattern, b: address, c: bytes });
  }

  async write(address: bigint, data: Uint8Array): Promise<void> {
    const staging = this.#pinned.allocate(data.length);
    staging.view.set(data);
    await this.#queue.submit({ opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE, a: staging.iova, b: address, c: data.length });
    // Where the command failed, the device may use the memory still: it goes with the device.
    staging.free();
  }

  async read(address: bigint, bytes: number): Promise<Uint8Array> {
    const staging = this.#pinned.allocate(bytes);
    await this.#queue.submit({ opcode: HOST_COMMAND.COPY_DEVICE_TO_HOST, a: address, b: staging.iova, c: bytes });
    const data = staging.view.slice();
    staging.free();
    return data;
  }
}

export class MemoryChecking {
  readonly checker: MemoryChecker;
  readonly #pinned: PinnedMemory;
  readonly #kernels: ReadonlyMap<number, string>;
  #streams = 0;

  static async create(
    context: Context,
    memory: DeviceMemory,
    pinned: PinnedMemory,
    firmware: FirmwareImage,
    options: MemoryCheckOptions,
  ): Promise<MemoryChecking> {
    return new MemoryChecking(await context.createQueue(), memory, pinned, firmware, options);
  }

  private constructor(
    queue: Queue,
    memory: DeviceMemory,
    pinned: PinnedMemory,
    firmware: FirmwareImage,
    { onReport = warn }: MemoryCheckOptions,
  ) {
    this.#pinned = pinned;
    this.#kernels = new Map([...firmware.kernels].map(([name, id]) => [id, name]));
    this.checker = new MemoryChecker(memory, new QueueAccess(queue, pinned), onReport);
  }

  /** Sees every command of a stream from now on. */
  observe(queue: Queue): void {
    const stream = this.#streams++;
    const submit = queue.submit.bind(queue);
    queue.submit = (command, ...rest) => {
      const name = NAMES.get(command.opcode) ?? '';
      if (WRITING.test(name)) this.checker.note(this.#describe(stream, name, command));
      const done = submit(command, ...rest);
      if (command.opcode === HOST_COMMAND.COPY_DEVICE_TO_HOST) {
        done.then(
          () => this.#copiedOut(command),
          () => undefined,
        );
      }
      return done;
    };
  }

  /** A last look at all memory, while the device still works. */
  async close(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_CHECK_MS);
    });
    const checked = this.checker.check().then(
      () => undefined,
      () => undefined,
    );
    await Promise.race([checked, late]);
    clearTimeout(timer);
  }

  #describe(stream: number, name: string, { a = 0 }: Command): string {
    const kernel = name === 'LAUNCH' ? ` ${this.#kernels.get(Number(a)) ?? `of kernel ${a}`}` : '';
    return `stream ${stream}: ${name}${kernel}`;
  }

  #copiedOut({ a = 0, b = 0, c = 0 }: Command): void {
    const data = this.#pinned.find(BigInt(b), Number(c));
    if (data !== undefined) this.checker.copied(BigInt(a), data);
  }
}
