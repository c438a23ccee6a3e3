/** Queue-ordered memory over streams that only count: nobody is given what somebody else's commands may still touch. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DeviceAllocation,
  DeviceHeaps,
  DeviceMemory,
  type MemoryPool,
  type StreamOrder,
} from '../../src/memmgr/index.js';
import { FakePageOwner } from './fake-page-owner.js';

const MIB = 1024 * 1024;
const SIZES = { lpddrBytes: 256 * MIB, sramBytes: 16 * MIB };
const STREAMS = 3;

class CountingStream implements StreamOrder {
  readonly number: number;
  enqueued = 0;
  completed = 0;
  #frontier = new Map<StreamOrder, number>();
  #idle: { readonly at: number; readonly resolve: () => void }[] = [];

  constructor(number: number) {
    this.number = number;
  }

  covers(other: StreamOrder): number {
    return this.#frontier.get(other) ?? 0;
  }

  /** As waiting for an event that `other` records now. */
  waitFor(other: CountingStream): void {
    for (const [stream, position] of [...other.#frontier, [other, other.enqueued] as const]) {
      this.#frontier.set(stream, Math.max(position, this.covers(stream)));
    }
  }

  complete(count: number): void {
    this.completed = Math.min(this.enqueued, this.completed + count);
    this.#idle = this.#idle.filter(({ at, resolve }) => {
      if (at > this.completed) return true;
      resolve();
      return false;
    });
  }

  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push({ at: this.enqueued, resolve });
      this.complete(0);
    });
  }
}

interface QueuedFree {
  readonly start: bigint;
  readonly end: bigint;
  readonly stream: CountingStream;
  readonly position: number;
}

const stream = fc.nat(STREAMS - 1);
const step = fc.oneof(
  fc.record({ kind: fc.constant('allocate' as const), bytes: fc.integer({ min: 1, max: 3 * MIB }), stream }),
  fc.record({ kind: fc.constant('allocate' as const), bytes: fc.integer({ min: 1, max: 4096 }), stream }),
  fc.record({ kind: fc.constant('allocate on the host' as const), bytes: fc.integer({ min: 1, max: 100_000 }) }),
  fc.record({ kind: fc.constant('free' as const), which: fc.nat() }),
  fc.record({ kind: fc.constant('free behind' as const), which: fc.nat(), stream }),
  fc.record({ kind: fc.constant('wait' as const), stream, other: stream }),
  fc.record({ kind: fc.constant('complete' as const), stream, count: fc.nat(4) }),
);

function setUp(): {
  readonly memory: DeviceMemory;
  readonly pool: MemoryPool;
  readonly heaps: DeviceHeaps;
  readonly streams: readonly CountingStream[];
} {
  const heaps = new DeviceHeaps(SIZES);
  const streams = Array.from({ length: STREAMS }, (_, number) => new CountingStream(number));
  const memory = new DeviceMemory(heaps, new FakePageOwner());
  return { memory, heaps, streams, pool: memory.createPool({ memory: 'sram', releaseThreshold: 2 * MIB }) };
}

const safe = (free: QueuedFree, by: CountingStream | undefined): boolean =>
  free.stream === by || free.stream.completed >= free.position || (by?.covers(free.stream) ?? 0) >= free.position;

describe('queue-ordered memory', () => {
  it('gives nobody what commands may still touch, and loses nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
        const { memory, pool, heaps, streams } = setUp();
        const at = (index: number): CountingStream => streams[index] as CountingStream;
        const live: DeviceAllocation[] = [];
        let frees: QueuedFree[] = [];
        const pick = (which: number): DeviceAllocation | undefined =>
          live.splice(which % Math.max(1, live.length), 1)[0];
        const allocate = async (bytes: number, by?: CountingStream): Promise<void> => {
          const got = await memory.allocate(bytes, { pool }, by).catch(() => undefined);
          if (got === undefined) return;
          const [start, end] = [got.address, got.address + BigInt(bytes)];
          expect(live.some((other) => other.address < end && start < other.address + BigInt(other.bytes))).toBe(false);
          const touched = frees.filter((free) => free.start < end && start < free.end);
          expect(touched.filter((free) => !safe(free, by))).toEqual([]);
          live.push(got);
        };
        for (const action of steps) {
          if (action.kind === 'allocate') await allocate(action.bytes, at(action.stream));
          else if (action.kind === 'allocate on the host') await allocate(action.bytes);
          else if (action.kind === 'wait') at(action.stream).waitFor(at(action.other));
          else if (action.kind === 'complete') at(action.stream).complete(action.count);
          else if (action.kind === 'free') pick(action.which)?.free();
          else {
            const gone = pick(action.which);
            if (gone === undefined) continue;
            const by = at(action.stream);
            by.enqueued++;
            gone.freeBehind(by);
            const end = gone.address + BigInt(gone.bytes);
            frees.push({ start: gone.address, end, stream: by, position: by.enqueued });
          }
          frees = frees.filter((free) => free.stream.completed < free.position);
        }
        for (const allocation of live) allocation.free();
        for (const each of streams) each.complete(Number.MAX_SAFE_INTEGER);
        await new Promise(setImmediate);
        await memory.trim();
        expect(heaps.occupancy('sram').freeBytes).toBe(heaps.occupancy('sram').totalBytes);
        expect(memory.statistics().sram).toMatchObject({
          allocated_bytes: 0,
          pending_free_bytes: 0,
          reserved_bytes: 0,
        });
      }),
      { numRuns: 150 },
    );
  });

  it('waits for frees that are queued, and fails when they do not help', async () => {
    const heaps = new DeviceHeaps(SIZES);
    const subject = new CountingStream(0);
    const memory = new DeviceMemory(heaps, new FakePageOwner(), { whenIdle: () => subject.whenIdle() });
    const whole = heaps.occupancy('sram').freeBytes;
    const first = await memory.allocate(whole, { memory: 'sram' });
    subject.enqueued = 1;
    first.freeBehind(subject);
    const second = memory.allocate(whole, { memory: 'sram' });
    await new Promise(setImmediate);
    expect(heaps.occupancy('sram').freeBytes).toBe(0);
    subject.complete(1);
    await expect(second).resolves.toMatchObject({ bytes: whole });
    await expect(memory.allocate(64, { memory: 'sram' })).rejects.toMatchObject({ code: 'OUT_OF_DEVICE_MEMORY' });
  });

  it('fails, and does not hang, where a stream broke and keeps its memory', async () => {
    const heaps = new DeviceHeaps(SIZES);
    const broken = new CountingStream(0);
    broken.whenIdle = () => Promise.resolve();
    const memory = new DeviceMemory(heaps, new FakePageOwner());
    const whole = heaps.occupancy('sram').freeBytes;
    const first = await memory.allocate(whole, { memory: 'sram' });
    broken.enqueued = 1;
    first.freeBehind(broken);
    await expect(memory.allocate(64, { memory: 'sram' })).rejects.toMatchObject({ code: 'OUT_OF_DEVICE_MEMORY' });
  });
});
