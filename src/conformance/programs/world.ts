/** What a program works on, with account of every byte and state that must be there. */
import assert from 'node:assert/strict';
import { FaultInjectingFunction } from '../../driver/index.js';
import type { DebugPort } from '../../firmware-emu/index.js';
import type { ErrorName } from '../../hw/index.js';
import {
  type CompiledModel,
  Device,
  type DeviceBuffer,
  type FirmwareImage,
  type MemoryPool,
  type Timeline,
} from '../../streaming-api/index.js';
import type { Backend } from '../backend.js';
import { Random } from '../random.js';
import { type Account, compare } from './account.js';
import { endGraph, type TrackedGraph } from './graph-steps.js';
import type { TrackedEvent, TrackedTimeline } from './order-steps.js';
import { OutcomeLog } from './outcome-log.js';
import { checkPeer, type Peer } from './peer-steps.js';
import { RUN } from './run.js';
import type { Order, Step, StepKind, WorkKind } from './step.js';
import { TrackedStream, worse } from './tracked-stream.js';

/** A command that a step has enqueued; see Begun. */
export interface StepCommand {
  readonly what: string;
  readonly done: Promise<unknown>;
  readonly fails?: readonly ErrorName[];
  readonly mayFail?: readonly ErrorName[];
  /** `fails` comes from the host: nothing is sent. */
  readonly refused?: boolean;
  /** It runs though its stream is to be aborted: whoever waits has to learn of it. */
  readonly signals?: boolean;
  readonly succeeded?: () => void;
  readonly failed?: () => void;
}

export interface LoadedModel {
  readonly model: CompiledModel;
  /** Runs under way, the oldest first. */
  readonly runs: Promise<unknown>[];
}

/** Launch arguments of the default stream; pinned ones once it has launched something. */
const DEFAULT_STREAM_ALLOCATIONS = 1;

const STEP_MS = 60_000;

const ignore = (): void => undefined;

export class World {
  readonly backend: Backend;
  readonly log = new OutcomeLog();
  readonly streams = new Map<number, TrackedStream>();
  readonly accounts = new Map<number, Account>();
  readonly graphs = new Map<number, TrackedGraph>();
  readonly events = new Map<number, TrackedEvent>();
  readonly timelines = new Map<number, TrackedTimeline>();
  readonly models = new Map<number, LoadedModel>();
  /** Steps by kind, and the work that they held. */
  readonly counts = new Map<StepKind | WorkKind, number>();
  /** Words in which a bit was flipped that nobody may have read since. */
  readonly flipped = new Set<bigint>();
  /** Outputs of models by what they were run on: the same bits on every device, whatever else runs. */
  readonly outputs = new Map<string, Float32Array>();
  /** Timelines that commands under way may name still. */
  readonly retired: Timeline[] = [];
  /** What a program found beside the outcome of commands; reported when it has settled. */
  readonly violations: string[] = [];
  freed: DeviceBuffer | undefined;
  /** A second device; opened when it is first needed. */
  peer: Peer | undefined;
  pool: MemoryPool | undefined;
  restarts = 0;
  resets = 0;
  card: FaultInjectingFunction;
  debug: DebugPort | undefined;
  device: Device;
  readonly firmware: FirmwareImage;
  /** Decides which interrupts and doorbells are met. */
  readonly #random: Random;
  #faultsBefore = 0;
  #gate: { readonly timeline: Timeline; closed: number; open: number } | undefined;

  static async open(backend: Backend, firmware: FirmwareImage, seed: number): Promise<World> {
    const random = new Random(seed, 'faults');
    const { card, debug } = openCard(backend, random);
    const world = new World(backend, firmware, random, card, await Device.open({ pci: card, firmware }));
    world.debug = debug;
    return world;
  }

  private constructor(
    backend: Backend,
    firmware: FirmwareImage,
    random: Random,
    card: FaultInjectingFunction,
    device: Device,
  ) {
    this.backend = backend;
    this.firmware = firmware;
    this.#random = random;
    this.card = card;
    this.device = device;
    this.streams.set(0, new TrackedStream(device.defaultStream));
  }

  /** Interrupts and doorbells that went wrong so far. */
  get faults(): number {
    return this.#faultsBefore + this.card.injected;
  }

  /** Runs a program from its first step to its last and compares all that it read and left behind; throws at what is wrong. */
  async run(program: readonly Step[]): Promise<void> {
    for (const [index, step] of program.entries()) {
      this.count(step.do);
      // The table has the function for just this kind of step.
      const run = RUN[step.do] as (world: World, step: Step, what: string) => unknown;
      const what = `step ${index} ${JSON.stringify(step)}`;
      await within(what, run(this, step, what));
    }
    this.card.heal();
    this.openGates();
    for (const account of this.accounts.values()) await within('the last read', this.#readBack(account));
    await this.settle();
    await within('the end', this.#cleanUp());
  }

  async close(): Promise<void> {
    await this.device.close();
    await this.peer?.device.close();
  }

  count(kind: StepKind | WorkKind): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  account(number: number): Account | undefined {
    return this.accounts.get(number);
  }

  /** The default stream where there is none of the number. */
  stream(number: number): TrackedStream {
    return (this.streams.get(number) ?? this.streams.get(0)) as TrackedStream;
  }

  /** Notes how a command on the stream is to end, and what that says about the stream. */
  begin(on: TrackedStream, { refused = false, signals = false, ...command }: StepCommand): void {
    const { fails, mayFail = [] } = command;
    command.done.catch(ignore);
    const codes = [...(fails ?? []), ...mayFail];
    if (refused) {
      on.failure = 'yes';
      this.log.begin(command);
    } else if (signals) {
      this.log.begin({ ...command, on });
    } else if (on.aborts === 'yes') {
      this.log.begin({ ...command, on, fails: ['ABORTED'], mayFail: [] });
      return;
    } else if (on.aborts === 'maybe') {
      const may =
        fails === undefined ? { mayFail: [...codes, 'ABORTED' as const] } : { fails: [...codes, 'ABORTED' as const] };
      this.log.begin({ ...command, ...may, on });
      if (codes.length > 0) on.failure = worse(on.failure, 'maybe');
    } else {
      this.log.begin({ ...command, on });
      if (fails !== undefined) on.failure = 'yes';
      else if (mayFail.length > 0) on.failure = worse(on.failure, 'maybe');
    }
    for (const code of codes) on.codes.add(code);
  }

  /** Orders the stream behind everything that uses the buffers. */
  use(accounts: readonly Account[], on: TrackedStream, by: Order, what: string): void {
    for (const account of new Set(accounts)) {
      if (account.last !== undefined) this.order(on, account.last, by, what);
      account.last = on;
    }
  }

  /** Makes the stream wait for everything that was enqueued on the other. */
  order(on: TrackedStream, before: TrackedStream, by: Order, what: string): void {
    if (on === before || before.stream.closed) return;
    const { progress, taint } = before;
    if (by === 'timeline' && progress?.spoilt === false) {
      const value = ++progress.value;
      progress.spoilt = taint !== 'no';
      const done = before.stream.signalTimeline(progress.timeline, value);
      this.begin(before, { what: `${what}, signal`, done, signals: true });
      on.stream.waitTimeline(progress.timeline, value);
    } else if (by === 'event') {
      on.stream.waitEvent(before.stream.recordEvent());
    } else {
      on.stream.waitStream(before.stream);
    }
    on.waitsFor(before, taint);
  }

  /** What is enqueued on the stream from now on is held until the next openGates. */
  async hold(on: TrackedStream): Promise<void> {
    this.#gate ??= { timeline: await this.device.createTimeline(), closed: 0, open: 0 };
    on.stream.waitTimeline(this.#gate.timeline, ++this.#gate.closed);
  }

  /** Before anything is awaited that the device has to do. */
  openGates(): void {
    const gate = this.#gate;
    if (gate === undefined || gate.open === gate.closed) return;
    gate.open = gate.closed;
    const done = gate.timeline.signal(gate.closed);
    done.catch(ignore);
    this.log.begin({ what: `signal of the gate, ${gate.closed}`, done });
  }

  /** Waits for the stream and learns of its failures: it is as good as new. */
  async synchronize(on: TrackedStream, what: string): Promise<void> {
    this.openGates();
    const done = on.stream.synchronize();
    done.catch(ignore);
    const codes: readonly ErrorName[] = [...on.codes, 'ABORTED'];
    const { taint } = on;
    on.recover();
    const outcome = { no: {}, maybe: { mayFail: codes }, yes: { fails: codes } }[taint];
    this.log.begin({ what, done, ...outcome });
    await done.catch(ignore);
    if (on.progress?.spoilt !== false) await this.renewProgress(on);
  }

  /** Something is to be enqueued that must not be aborted, and waited for. */
  async ready(on: TrackedStream, what: string): Promise<void> {
    if (on.taint !== 'no') await this.synchronize(on, `${what}, to be ready`);
    this.openGates();
  }

  async renewProgress(on: TrackedStream): Promise<void> {
    if (on.progress !== undefined) this.retired.push(on.progress.timeline);
    on.progress = undefined;
    const timeline = await this.device.createTimeline();
    on.progress = { timeline, value: 0, spoilt: false };
  }

  async settle(ending = false): Promise<void> {
    await this.log.settle(ending);
    const [violation] = this.violations.splice(0);
    if (violation !== undefined) throw new Error(violation);
  }

  /** All that was made is of a device that is no more. */
  forgetAll(): void {
    for (const all of [this.streams, this.accounts, this.graphs, this.events, this.timelines, this.models]) all.clear();
    this.retired.length = 0;
    this.freed = undefined;
    this.pool = undefined;
    this.#gate = undefined;
    this.streams.set(0, new TrackedStream(this.device.defaultStream));
  }

  /** A new card, and a device on it. */
  async reopen(): Promise<void> {
    this.#faultsBefore += this.card.injected;
    this.flipped.clear();
    const { card, debug } = openCard(this.backend, this.#random);
    this.card = card;
    this.debug = debug;
    this.device = await Device.open({ pci: card, firmware: this.firmware });
  }

  async #readBack(account: Account): Promise<void> {
    const what = 'what is left at the end';
    const last = account.last?.stream.closed === false ? account.last : this.stream(0);
    await this.ready(last, what);
    const bytes = new Uint8Array(account.bytes.byteLength);
    const done = last.stream.copyToHost(bytes, account.buffer);
    this.begin(last, { what, done, succeeded: () => compare(account, 0, bytes, what) });
  }

  /** Everything goes back, and nobody holds memory then. */
  async #cleanUp(): Promise<void> {
    for (const on of this.streams.values()) await this.synchronize(on, 'synchronize at the end');
    await this.settle();
    await checkPeer(this);
    for (const graph of this.graphs.values()) await endGraph(graph);
    for (const { model } of this.models.values()) await model.close();
    for (const { timeline, values, number } of this.timelines.values()) {
      const last = values.at(-1);
      if (last?.taint === 'no') assert.equal(timeline.value, BigInt(values.length - 1), `timeline ${number}`);
      timeline.close();
    }
    for (const [number, on] of this.streams) {
      on.progress?.timeline.close();
      on.progress = undefined;
      if (number !== 0) await on.stream.close();
    }
    for (const timeline of this.retired) timeline.close();
    this.#gate?.timeline.close();
    for (const account of this.accounts.values()) account.buffer.free();
    await this.pool?.close();
    this.forgetAll();
    const { dram, sram, pinned } = this.device.memoryStats();
    assert.equal(dram.num_allocs, DEFAULT_STREAM_ALLOCATIONS, 'allocations of LPDDR that stay');
    assert.deepEqual([sram.num_allocs, sram.allocated_bytes], [0, 0], 'allocations of SRAM that stay');
    assert.deepEqual([dram.pending_free_bytes, sram.pending_free_bytes], [0, 0], 'bytes that wait for commands');
    assert.ok(pinned.num_allocs <= DEFAULT_STREAM_ALLOCATIONS, `${pinned.num_allocs} pinned allocations that stay`);
  }
}

/** What never ends must not end the process, and not go on for ever. */
async function within(what: string, work: unknown): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: did not end within ${STEP_MS} ms`)), STEP_MS);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function openCard(
  backend: Backend,
  random: Random,
): { readonly card: FaultInjectingFunction; readonly debug: DebugPort | undefined } {
  const { pci, debug } = backend.openCard({ threads: 1 });
  return { card: new FaultInjectingFunction(pci, () => random.next()), debug };
}
