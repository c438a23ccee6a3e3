/** Runs programs on a device and keeps account of every byte that must be there. */
import assert from 'node:assert/strict';
import { FaultInjectingFunction, type MtiaError } from '../../driver/index.js';
import type { ErrorName } from '../../hw/index.js';
import {
  type CompiledModel,
  Device,
  type DeviceBuffer,
  type FirmwareImage,
  type Stream,
} from '../../streaming-api/index.js';
import type { Backend } from '../backend.js';
import { Random } from '../random.js';
import { copyGraph, ROW_ELEMENTS } from './copy-graph.js';
import { OutcomeLog } from './outcome-log.js';
import { FAILING_KERNELS, type FaultKind, type Misuse, type Restart, type Step, type Transfer } from './step.js';

/** A buffer with the bytes that it must hold; those that are not known hold anything. */
interface Account {
  readonly buffer: DeviceBuffer;
  readonly bytes: Uint8Array;
  readonly known: Uint8Array;
  /** Where the latest command was enqueued that uses it. */
  stream?: Stream;
}

type StreamNumber = Pick<StepOf<'synchronize'>, 'stream'>;
type StepOf<K extends Step['do']> = Extract<Step, { readonly do: K }>;
type Run = { readonly [K in Step['do']]: (world: World, step: StepOf<K>, what: string) => void | Promise<void> };

const KERNEL_ERROR: readonly ErrorName[] = ['KERNEL_ERROR', 'INVALID_COMMAND'];
const DEADLINE_MS = 20;
const LOST_WITHIN_MS = 10_000;
const INTERRUPTS_LOST = 0.3;
const LATE_MS = 5;

const FAULTS: Readonly<Record<FaultKind, Partial<FaultInjectingFunction['faults']>>> = {
  none: {},
  'interrupts lost': { dropInterrupts: INTERRUPTS_LOST },
  'interrupts late': { delayInterruptsMs: LATE_MS },
  'interrupts repeated': { repeatInterrupts: 2 },
  'doorbells repeated': { repeatDoorbells: INTERRUPTS_LOST },
};

function forget(account: Account, offset: number, bytes: number): void {
  account.known.fill(0, offset, offset + bytes);
}

function expectBytes(account: Account, offset: number, data: Uint8Array): void {
  account.bytes.set(data, offset);
  account.known.fill(1, offset, offset + data.byteLength);
}

/** How many of `wanted` bytes behind `offset` the buffer has. */
function room(account: Account, offset: number, wanted: number): number {
  return Math.max(0, Math.min(wanted, account.bytes.byteLength - offset));
}

export class World {
  readonly #backend: Backend;
  readonly #firmware: FirmwareImage;
  readonly #random: Random;
  readonly #log = new OutcomeLog();
  readonly #streams = new Map<number, Stream>();
  readonly #accounts = new Map<number, Account>();
  readonly #models = new Map<number, CompiledModel>();
  readonly #runs = new WeakMap<Stream, readonly Promise<unknown>[]>();
  #card: FaultInjectingFunction;
  #device: Device;
  #freed: DeviceBuffer | undefined;
  #next = 0;
  #restarts = 0;

  static async open(backend: Backend, firmware: FirmwareImage, seed: number): Promise<World> {
    const random = new Random(seed, 'world');
    const card = wrap(backend, random);
    return new World(backend, firmware, random, card, await Device.open({ pci: card, firmware }));
  }

  private constructor(
    backend: Backend,
    firmware: FirmwareImage,
    random: Random,
    card: FaultInjectingFunction,
    device: Device,
  ) {
    this.#backend = backend;
    this.#firmware = firmware;
    this.#random = random;
    this.#card = card;
    this.#device = device;
  }

  /** Devices that were opened again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Runs a program from its first step to its last and compares all that it read and left behind; throws at what is wrong. */
  async run(program: readonly Step[]): Promise<void> {
    for (const [index, step] of program.entries()) {
      const what = `step ${index} ${JSON.stringify(step)}`;
      // The table has the function for just this kind of step.
      await (RUN[step.do] as (world: World, step: Step, what: string) => void | Promise<void>)(this, step, what);
    }
    this.#card.heal();
    for (const account of this.#accounts.values()) this.#readBack(account, 'what is left at the end');
    await this.#log.settle();
    await this.#cleanUp();
  }

  async close(): Promise<void> {
    await this.#device.close();
  }

  async allocate({ buffer, words, memory }: StepOf<'allocate'>): Promise<void> {
    this.free({ buffer });
    const allocated = await this.#device.allocate(words * 8, { memory });
    this.#accounts.set(buffer, {
      buffer: allocated,
      bytes: new Uint8Array(allocated.bytes),
      known: new Uint8Array(allocated.bytes),
    });
  }

  /** At once, whatever still uses the buffer. */
  free({ buffer }: Pick<StepOf<'free'>, 'buffer'>): void {
    const account = this.#accounts.get(buffer);
    if (account === undefined) return;
    account.buffer.free();
    this.#freed = account.buffer;
    this.#accounts.delete(buffer);
  }

  write({ buffer, stream, offset: wanted, bytes, pinned }: Transfer, what: string): void {
    const account = this.#accounts.get(buffer);
    if (account === undefined) return;
    const offset = Math.min(wanted, account.bytes.byteLength);
    const data = this.#random.bytes(room(account, offset, bytes));
    const on = this.#use(account, stream);
    let source: Parameters<Stream['copyToDevice']>[1] = data;
    const host = pinned && data.byteLength > 0 ? this.#device.allocateHost(data.byteLength) : undefined;
    if (host !== undefined) {
      host.view.set(data);
      source = host;
    }
    const done = on.copyToDevice(account.buffer, source, { destinationOffset: offset });
    host?.free();
    this.#log.begin({
      what,
      done,
      succeeded: () => expectBytes(account, offset, data),
      ended: () => forget(account, offset, data.byteLength),
    });
  }

  read({ buffer, stream, offset: wanted, bytes, pinned }: Transfer, what: string): void {
    const account = this.#accounts.get(buffer);
    if (account === undefined) return;
    const offset = Math.min(wanted, account.bytes.byteLength);
    this.#readOn(account, this.#use(account, stream), offset, room(account, offset, bytes), pinned, what);
  }

  fill({ buffer, stream, pattern }: StepOf<'fill'>, what: string): void {
    const account = this.#accounts.get(buffer);
    if (account === undefined) return;
    const done = this.#use(account, stream).fill(account.buffer, pattern);
    const data = new Uint8Array(new Uint32Array(account.bytes.byteLength / 4).fill(pattern).buffer);
    this.#log.begin({
      what,
      done,
      succeeded: () => expectBytes(account, 0, data),
      ended: () => forget(account, 0, data.byteLength),
    });
  }

  copy({ from, to, stream, bytes: wanted }: StepOf<'copy'>, what: string): void {
    const [source, target] = [this.#accounts.get(from), this.#accounts.get(to)];
    if (source === undefined || target === undefined) return;
    const bytes = Math.min(room(source, 0, wanted), room(target, 0, wanted));
    this.#use(source, stream);
    const done = this.#use(target, stream).copy(target.buffer, source.buffer, { bytes });
    this.#log.begin({
      what,
      done,
      succeeded: () => {
        target.bytes.set(source.bytes.slice(0, bytes));
        target.known.set(source.known.slice(0, bytes));
      },
      ended: () => forget(target, 0, bytes),
    });
  }

  /** Kernel RECORD: every processing element writes a number. */
  record({ buffer, stream, columns, rows }: StepOf<'record'>, what: string): void {
    const account = this.#accounts.get(buffer);
    const count = columns * rows;
    if (account === undefined || account.bytes.byteLength < count * 8) return;
    this.#next += 1000;
    const first = BigInt(this.#next);
    const kernel = this.#device.kernel('RECORD');
    const done = this.#use(account, stream).launch(kernel, { grid: { columns, rows } }, [account.buffer, first]);
    const words = BigUint64Array.from({ length: count }, (_, index) => first + BigInt(index));
    this.#log.begin({
      what,
      done,
      succeeded: () => expectBytes(account, 0, new Uint8Array(words.buffer)),
      ended: () => forget(account, 0, count * 8),
    });
  }

  fail({ stream, kernel: name }: StepOf<'fail'>, what: string): void {
    const { code, word } = FAILING_KERNELS[name];
    const options = { grid: { columns: 2, rows: 2 }, ...(name === 'ENDLESS' ? { deadlineMs: DEADLINE_MS } : {}) };
    const done = this.#stream(stream).launch(this.#device.kernel(name), options, [word]);
    this.#log.begin({ what, done, fails: code === 'KERNEL_ERROR' ? KERNEL_ERROR : [code] });
  }

  misuse({ stream, buffer, kind }: StepOf<'misuse'>, what: string): void {
    const account = this.#accounts.get(buffer);
    const on = this.#stream(stream);
    const refused: Readonly<Record<Misuse, () => readonly [Promise<unknown>, readonly ErrorName[]] | undefined>> = {
      'beyond the end': () =>
        account && [
          on.copyToDevice(account.buffer, new Uint8Array(4), { destinationOffset: account.bytes.byteLength }),
          ['INVALID_ARGUMENT'],
        ],
      'odd fill': () => account && [on.fill(account.buffer, 1, { offset: 1, bytes: 4 }), ['INVALID_ARGUMENT']],
      'no such kernel': () => [rejected(() => this.#device.kernel('NO_SUCH_KERNEL')), ['UNKNOWN_KERNEL']],
      'no such grid': () => [
        on.launch(this.#device.kernel('NULL'), { grid: { columns: 9, rows: 1 } }),
        ['INVALID_GRID', 'INVALID_ARGUMENT'],
      ],
      'freed buffer': () => this.#freed && [on.fill(this.#freed, 0), ['DEVICE_CLOSED', 'INVALID_ARGUMENT']],
    };
    const [done, fails] = refused[kind]() ?? [];
    if (done !== undefined && fails !== undefined) this.#log.begin({ what, done, fails });
  }

  async model({ stream, rows }: StepOf<'model'>, what: string): Promise<void> {
    const model = this.#models.get(rows) ?? (await this.#load(rows, what));
    if (model === undefined) return;
    const x = Float32Array.from({ length: rows * ROW_ELEMENTS }, () => this.#random.integer(-1e6, 1e6));
    const on = this.#stream(stream);
    const done = model.run({ x }, { stream: on });
    this.#runs.set(on, [...(this.#runs.get(on) ?? []), done]);
    this.#log.begin({ what, done: done.then(({ outputs }) => assert.deepEqual(outputs.y, x, what)) });
  }

  async openStream({ stream }: StreamNumber): Promise<void> {
    const beside = this.#device.properties.streams - 1;
    if (stream === 0 || this.#streams.has(stream) || this.#streams.size >= beside) return;
    this.#streams.set(stream, await this.#device.createStream());
  }

  async closeStream({ stream }: StreamNumber): Promise<void> {
    const open = this.#streams.get(stream);
    if (open === undefined) return;
    this.#streams.delete(stream);
    // A run enqueues its commands when it has memory: its stream may not close before.
    await Promise.allSettled(this.#runs.get(open) ?? []);
    await open.close();
  }

  async synchronize({ stream }: StreamNumber, what: string): Promise<void> {
    const done = this.#stream(stream).synchronize();
    this.#log.begin({ what, done, reports: true });
    await done.catch(() => undefined);
  }

  wait({ stream, other }: StepOf<'wait'>): void {
    this.#stream(stream).waitStream(this.#stream(other));
  }

  fault({ fault }: StepOf<'fault'>): void {
    this.#card.heal();
    Object.assign(this.#card.faults, FAULTS[fault]);
  }

  /** Ends the device with all that is under way, and goes on with a new one. */
  async restart({ how }: StepOf<'restart'>): Promise<void> {
    await END[how](this.#card, this.#device);
    await this.#device.close();
    await this.#log.settle(true);
    this.#streams.clear();
    this.#accounts.clear();
    this.#models.clear();
    this.#freed = undefined;
    this.#card = wrap(this.#backend, this.#random);
    this.#device = await Device.open({ pci: this.#card, firmware: this.#firmware });
    this.#restarts++;
  }

  /** Undefined where the stream of the upload depends on work that failed. */
  async #load(rows: number, what: string): Promise<CompiledModel | undefined> {
    const loading = this.#device.loadModel(copyGraph(this.#backend.generation, rows));
    this.#log.begin({ what: `${what}, load`, done: loading });
    const model = await loading.catch(() => undefined);
    if (model !== undefined) this.#models.set(rows, model);
    return model;
  }

  #stream(number: number): Stream {
    return this.#streams.get(number) ?? this.#device.defaultStream;
  }

  /** The stream, ordered behind everything that uses the buffer. */
  #use(account: Account, number: number): Stream {
    const stream = this.#stream(number);
    const before = account.stream;
    if (before !== undefined && before !== stream && !before.closed) stream.waitStream(before);
    account.stream = stream;
    return stream;
  }

  #readBack(account: Account, what: string): void {
    const stream = account.stream === undefined || account.stream.closed ? this.#device.defaultStream : account.stream;
    this.#readOn(account, stream, 0, account.bytes.byteLength, false, what);
  }

  #readOn(account: Account, stream: Stream, offset: number, bytes: number, pinned: boolean, what: string): void {
    const host = pinned && bytes > 0 ? this.#device.allocateHost(bytes) : undefined;
    const data = host?.view ?? new Uint8Array(bytes);
    const copied = stream.copyToHost(host ?? data, account.buffer, { sourceOffset: offset, bytes });
    const done = copied.then(() => data.slice());
    let found: Uint8Array = data;
    this.#log.begin({
      what,
      done: done
        .then((bytesRead) => {
          found = bytesRead;
        })
        .finally(() => host?.free()),
      succeeded: () => compare(account, offset, found, what),
    });
  }

  /** Everything goes back, and nobody holds memory then. */
  async #cleanUp(): Promise<void> {
    for (const number of [...this.#streams.keys()]) await this.closeStream({ stream: number });
    for (const number of [...this.#accounts.keys()]) this.free({ buffer: number });
    for (const model of this.#models.values()) await model.close();
    this.#models.clear();
    // Failures that were expected are reported here for the last time.
    await this.#device.synchronize().catch(() => undefined);
    const { dram, sram, pinned } = this.#device.memoryStats();
    assert.equal(dram.num_allocs, DEFAULT_STREAM_ALLOCATIONS, 'allocations of LPDDR that stay');
    assert.deepEqual([sram.num_allocs, sram.allocated_bytes], [0, 0], 'allocations of SRAM that stay');
    assert.ok(pinned.num_allocs >= 0);
  }
}

/** Launch arguments of the default stream. */
const DEFAULT_STREAM_ALLOCATIONS = 1;

function wrap(backend: Backend, random: Random): FaultInjectingFunction {
  return new FaultInjectingFunction(backend.openCard({ threads: 1 }).pci, () => random.next());
}

function rejected(call: () => unknown): Promise<unknown> {
  return Promise.resolve().then(call);
}

function compare(account: Account, offset: number, found: Uint8Array, what: string): void {
  for (const [index, byte] of found.entries()) {
    const at = offset + index;
    if (account.known[at] === 1 && account.bytes[at] !== byte) {
      throw new Error(`${what}: byte ${at} is ${byte} instead of ${account.bytes[at]}`);
    }
  }
}

async function expectLost(device: Device): Promise<MtiaError> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the loss was not noticed in ${LOST_WITHIN_MS} ms`)), LOST_WITHIN_MS);
  });
  try {
    return await Promise.race([device.lost, late]);
  } finally {
    clearTimeout(timer);
  }
}

const END: Readonly<Record<Restart, (card: FaultInjectingFunction, device: Device) => Promise<unknown>>> = {
  close: (_, device) => device.close(),
  reset: (card, device) => {
    card.functionReset();
    device.defaultStream.recordEvent();
    return expectLost(device);
  },
  eject: (card, device) => {
    card.faults.ejected = true;
    device.defaultStream.recordEvent();
    return expectLost(device);
  },
};

const RUN: Run = {
  allocate: (world, step) => world.allocate(step),
  free: (world, step) => world.free(step),
  write: (world, step, what) => world.write(step, what),
  read: (world, step, what) => world.read(step, what),
  fill: (world, step, what) => world.fill(step, what),
  copy: (world, step, what) => world.copy(step, what),
  record: (world, step, what) => world.record(step, what),
  fail: (world, step, what) => world.fail(step, what),
  misuse: (world, step, what) => world.misuse(step, what),
  model: (world, step, what) => world.model(step, what),
  'open stream': (world, step) => world.openStream(step),
  'close stream': (world, step) => world.closeStream(step),
  synchronize: (world, step, what) => world.synchronize(step, what),
  wait: (world, step) => world.wait(step),
  fault: (world, step) => world.fault(step),
  restart: (world, step) => world.restart(step),
};
