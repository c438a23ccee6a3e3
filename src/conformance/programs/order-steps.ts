/** Streams, events, timelines, host functions: what orders work, and what failures do to what is ordered behind them. */
import type { ErrorName } from '../../hw/index.js';
import { Event, type Timeline } from '../../streaming-api/index.js';
import type { HostCall, StepOf } from './step.js';
import { type Certainty, TrackedStream, worse } from './tracked-stream.js';
import type { World } from './world.js';

export interface TrackedEvent {
  readonly event: Event;
  readonly on: TrackedStream;
  /** Whether its stream had failed where it was recorded. */
  taint: Certainty;
}

export interface TrackedTimeline {
  readonly number: number;
  readonly timeline: Timeline;
  /** By value: who signals it, and whether that had failed. */
  readonly values: { readonly on: TrackedStream | undefined; taint: Certainty }[];
}

const ignore = (): void => undefined;

/** How something ends that only waits for work with this taint; its failures may be those of the stream. */
function outcomeOf(
  taint: Certainty,
  codes: readonly ErrorName[],
): { fails?: readonly ErrorName[]; mayFail?: readonly ErrorName[] } {
  if (taint === 'no') return {};
  return taint === 'yes' ? { fails: codes } : { mayFail: codes };
}

async function openStream(world: World, { stream, priority }: StepOf<'open stream'>): Promise<void> {
  if (stream === 0 || world.streams.has(stream) || world.streams.size >= world.device.properties.streams) return;
  const on = new TrackedStream(await world.device.createStream({ priority }));
  await world.renewProgress(on);
  world.streams.set(stream, on);
}

async function closeStream(world: World, { stream }: StepOf<'close stream'>): Promise<void> {
  const on = world.streams.get(stream);
  if (stream === 0 || on === undefined) return;
  world.streams.delete(stream);
  world.openGates();
  if (on.progress !== undefined) world.retired.push(on.progress.timeline);
  await on.stream.close();
}

async function synchronizeDevice(world: World, _: unknown, what: string): Promise<void> {
  world.openGates();
  const all = [...world.streams.values()];
  const taint = worse(...all.map((on) => on.taint));
  const codes: readonly ErrorName[] = [...all.flatMap((on) => [...on.codes]), 'ABORTED'];
  const done = world.device.synchronize();
  world.log.begin({ what, done, ...outcomeOf(taint, codes) });
  await done.catch(ignore);
  for (const on of all) {
    on.recover();
    if (on.progress?.spoilt !== false) await world.renewProgress(on);
  }
}

/** Which of the work under way it ends is open; what depends on it may be aborted with it. */
async function abort(world: World, { stream }: StepOf<'abort'>, what: string): Promise<void> {
  const on = world.stream(stream);
  const affected = on.dependants();
  world.log.doubt(affected);
  for (const other of affected) {
    if (other.progress !== undefined) other.progress.spoilt = true;
    other.aborts = 'maybe';
    other.failure = 'maybe';
    other.codes.add('ABORTED');
  }
  for (const event of world.events.values()) if (affected.has(event.on)) event.taint = 'maybe';
  for (const { values } of world.timelines.values()) {
    for (const value of values) if (value.on !== undefined && affected.has(value.on)) value.taint = 'maybe';
  }
  const done = on.stream.abort(new Error(what));
  world.log.begin({ what, done });
  await done.catch(ignore);
  on.recover();
}

function recordEvent(world: World, { event, stream }: StepOf<'record event'>): void {
  const on = world.stream(stream);
  const taint = on.taint;
  const existing = world.events.get(event)?.event ?? new Event();
  world.events.set(event, { event: on.stream.recordEvent(existing), on, taint });
}

function waitEvent(world: World, { event: number, stream }: StepOf<'wait event'>): void {
  const on = world.stream(stream);
  const recorded = world.events.get(number);
  on.stream.waitEvent(recorded?.event ?? new Event());
  if (recorded !== undefined && recorded.on !== on) on.waitsFor(recorded.on, recorded.taint);
}

async function awaitEvent(world: World, { event: number }: StepOf<'await event'>, what: string): Promise<void> {
  const recorded = world.events.get(number);
  if (recorded === undefined) return;
  world.openGates();
  const { event, on, taint } = recorded;
  const done = event.synchronize();
  world.log.begin({ what, done, on, ...outcomeOf(taint, [...ALL_FAILURES]) });
  await done.catch(ignore);
  if (!event.query()) world.violations.push(`${what}: the event is not reached behind its synchronize()`);
}

/** With what the work of programs fails. */
const ALL_FAILURES: readonly ErrorName[] = [
  'ABORTED',
  'KERNEL_ERROR',
  'KERNEL_FAULT',
  'MEMORY_PROTECTION',
  'ILLEGAL_UNIT_COMMAND',
  'DEADLOCK',
  'KERNEL_TIMEOUT',
  'INVALID_ARGUMENT',
  'INVALID_GRID',
  'INVALID_COMMAND',
  'DEVICE_CLOSED',
  'HOST_FUNCTION_ERROR',
];

async function timelineOf(world: World, number: number): Promise<TrackedTimeline> {
  const existing = world.timelines.get(number);
  const last = existing?.values.at(-1);
  if (existing !== undefined && last?.taint === 'no') return existing;
  // A failure stays with a timeline.
  if (existing !== undefined) world.retired.push(existing.timeline);
  const timeline = await world.device.createTimeline();
  const made: TrackedTimeline = { number, timeline, values: [{ on: undefined, taint: 'no' }] };
  world.timelines.set(number, made);
  return made;
}

/** One value after the other, each signalled behind the one before. */
async function signalTimeline(world: World, step: StepOf<'signal timeline'>, what: string): Promise<void> {
  const on = world.stream(step.stream);
  const { timeline, values } = await timelineOf(world, step.timeline);
  const before = values.at(-1);
  on.stream.waitTimeline(timeline, values.length - 1);
  if (before?.on !== undefined) on.waitsFor(before.on, before.taint);
  values.push({ on, taint: on.taint });
  world.begin(on, { what, done: on.stream.signalTimeline(timeline, values.length - 1), signals: true });
}

async function waitTimeline(world: World, step: StepOf<'wait timeline'>): Promise<void> {
  const on = world.stream(step.stream);
  const tracked = world.timelines.get(step.timeline);
  if (tracked === undefined) return;
  const at = Math.max(0, tracked.values.length - 1 - step.back);
  on.stream.waitTimeline(tracked.timeline, at);
  const value = tracked.values[at];
  if (value?.on !== undefined) on.waitsFor(value.on, value.taint);
}

async function awaitTimeline(world: World, step: StepOf<'await timeline'>, what: string): Promise<void> {
  const tracked = world.timelines.get(step.timeline);
  if (tracked === undefined) return;
  world.openGates();
  const { timeline, values } = tracked;
  const at = Math.max(0, values.length - 1 - step.back);
  const value = values[at];
  const done = timeline.wait(at);
  world.log.begin({
    what,
    done,
    ...(value?.on === undefined ? {} : { on: value.on }),
    ...outcomeOf(value?.taint ?? 'no', ['ABORTED']),
    succeeded: () => {
      if (timeline.value < BigInt(at)) throw new Error(`${what}: the timeline is at ${timeline.value}, not ${at}`);
    },
  });
  await done.catch(ignore);
}

const CALLS: Readonly<Record<HostCall, () => void | Promise<void>>> = {
  returns: ignore,
  resolves: () => new Promise((resolve) => setImmediate(resolve)),
  throws: () => {
    throw new Error('thrown by a program');
  },
};

function hostFunction(world: World, { stream, call }: StepOf<'host function'>, what: string): void {
  const on = world.stream(stream);
  const number = ++on.calls;
  let ran = false;
  const mustNotRun = on.aborts === 'yes';
  const done = on.stream.launchHostFunction(() => {
    ran = true;
    if (mustNotRun) world.violations.push(`${what}: ran behind work that had failed`);
    if (number <= on.ran) world.violations.push(`${what}: ran behind host function ${on.ran} of its stream`);
    on.ran = number;
    return CALLS[call]();
  });
  world.begin(on, {
    what,
    done,
    ...(call === 'throws' ? { fails: ['HOST_FUNCTION_ERROR'] as const } : {}),
    succeeded: () => {
      if (!ran) throw new Error(`${what}: did not run`);
    },
  });
}

export const ORDER_STEPS = {
  'open stream': openStream,
  'close stream': closeStream,
  synchronize: (world: World, { stream }: StepOf<'synchronize'>, what: string) =>
    world.synchronize(world.stream(stream), what),
  'synchronize device': synchronizeDevice,
  abort,
  wait: (world: World, { stream, other, by }: StepOf<'wait'>, what: string) =>
    world.order(world.stream(stream), world.stream(other), by, what),
  'record event': recordEvent,
  'wait event': waitEvent,
  'await event': awaitEvent,
  'signal timeline': signalTimeline,
  'wait timeline': waitTimeline,
  'await timeline': awaitTimeline,
  'host function': hostFunction,
  hold: (world: World, { stream }: StepOf<'hold'>) => world.hold(world.stream(stream)),
} as const;
