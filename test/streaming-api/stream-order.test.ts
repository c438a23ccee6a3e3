/** Random programs over several streams against a model that runs them one command after the other. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device, DeviceBuffer, Stream } from '../../src/streaming-api/index.js';
import { ONE_PE, openTestDevice } from './test-device.js';

const STREAMS = 3;
const WORDS = 32;

type Step =
  | { readonly kind: 'fill'; readonly at: number; readonly words: number; readonly value: number }
  | { readonly kind: 'upload'; readonly at: number; readonly values: readonly number[] }
  | { readonly kind: 'copy'; readonly from: number; readonly to: number; readonly words: number }
  | { readonly kind: 'record'; readonly at: number; readonly value: number }
  | { readonly kind: 'fail' };

const place = fc.nat(WORDS - 1);
const value = fc.nat(0xffff);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('fill' as const), at: place, words: fc.nat(WORDS), value }),
  fc.record({ kind: fc.constant('upload' as const), at: place, values: fc.array(value, { maxLength: WORDS }) }),
  fc.record({ kind: fc.constant('copy' as const), from: place, to: place, words: fc.nat(WORDS) }),
  fc.record({ kind: fc.constant('record' as const), at: place, value }),
  fc.record({ kind: fc.constant('fail' as const) }),
);
const program = fc.array(fc.record({ step, stream: fc.nat(STREAMS - 1) }), { maxLength: 60 });

/** What the step makes of the words. Two halves: copies go from the first to the second, so that they never overlap. */
function model(words: Uint32Array, { ...step }: Step): void {
  if (step.kind === 'fill') words.fill(step.value, step.at, Math.min(step.at + step.words, WORDS));
  if (step.kind === 'upload') words.set(step.values.slice(0, WORDS - step.at), step.at);
  if (step.kind === 'copy') {
    const count = Math.min(step.words, WORDS - step.from, WORDS - step.to);
    words.copyWithin(WORDS + step.to, step.from, step.from + count);
  }
  if (step.kind === 'record') words.set([step.value, 0], step.at & ~1);
}

function enqueue(device: Device, stream: Stream, buffer: DeviceBuffer, step: Step): void {
  if (step.kind === 'fill') {
    const bytes = 4 * Math.min(step.words, WORDS - step.at);
    stream.fill(buffer, step.value, { offset: 4 * step.at, bytes });
  } else if (step.kind === 'upload') {
    const data = Uint32Array.from(step.values.slice(0, WORDS - step.at));
    stream.copyToDevice(buffer, data, { destinationOffset: 4 * step.at });
  } else if (step.kind === 'copy') {
    const bytes = 4 * Math.min(step.words, WORDS - step.from, WORDS - step.to);
    stream.copy(buffer, buffer, { sourceOffset: 4 * step.from, destinationOffset: 4 * (WORDS + step.to), bytes });
  } else if (step.kind === 'record') {
    stream.launch(device.kernel('record'), { grid: ONE_PE }, [buffer.address + BigInt(4 * (step.at & ~1)), step.value]);
  } else {
    stream.launch(device.kernel('return_value'), { grid: ONE_PE }, [99]);
  }
}

describe('streams that wait for each other', () => {
  let device: Device;
  let streams: readonly Stream[];

  beforeAll(async () => {
    device = await openTestDevice();
    streams = await Promise.all(Array.from({ length: STREAMS }, () => device.createStream()));
  });
  afterAll(() => device.close());

  it('do what one stream would do; what depends on a failure is aborted', async () => {
    await fc.assert(
      fc.asyncProperty(program, async (steps) => {
        using buffer = await device.allocate(8 * WORDS);
        const expected = new Uint32Array(2 * WORDS);
        let last = device.defaultStream;
        await last.fill(buffer, 0);
        const failed = new Set<Stream>();
        const aborted = new Set<Stream>();
        for (const { step, stream: number } of steps) {
          const stream = streams[number] ?? device.defaultStream;
          if (stream !== last) {
            stream.waitStream(last);
            if (failed.has(last)) {
              failed.add(stream);
              aborted.add(stream);
            }
          }
          enqueue(device, stream, buffer, step);
          if (step.kind === 'fail') failed.add(stream);
          else if (!aborted.has(stream)) model(expected, step);
          last = stream;
        }
        const outcome = await device.synchronize().then(
          () => 'done',
          () => 'failed',
        );
        expect(outcome).toBe(failed.size > 0 ? 'failed' : 'done');
        await device.synchronize();
        const result = new Uint32Array(2 * WORDS);
        await last.copyToHost(result, buffer);
        expect(result).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});
