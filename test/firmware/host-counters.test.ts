/** Performance counters of the host interface, by what a known sequence of commands adds to them. */
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { HOST_COMMAND } from '../../src/hw/index.js';
import { openCard, openSession } from './card.js';

it('the host interface counts what passes it', async () => {
  const { device, debug } = await openCard('2i');
  await using _closing = device;
  const session = await openSession(device);
  const before = debug.counters();
  await session.write(session.memory, new Uint8Array(5000));
  await session.read(session.memory, 3000);
  const compressed = gzipSync(new Uint8Array(40_000));
  session.host.set(compressed);
  await session.queue.submit({
    opcode: HOST_COMMAND.COPY_HOST_TO_DEVICE_GUNZIP,
    a: session.iova,
    b: session.memory,
    c: compressed.byteLength,
    d: 40_000,
  });
  const after = debug.counters();
  const added = (name: keyof typeof after): number => Number(after[name] - before[name]);
  expect(added('doorbells')).toBe(3);
  expect(added('entriesFetched')).toBe(3);
  expect(added('hostToDeviceBytes')).toBe(5000 + compressed.byteLength);
  expect(added('deviceToHostBytes')).toBe(3000);
  expect(added('decompressedBytes')).toBe(40_000);
  expect(added('readCompletions')).toBe(0);
  expect(added('interrupts')).toBeGreaterThanOrEqual(1);
  // A doorbell for each command, and one for each set of completions taken.
  expect(added('postedWrites')).toBeGreaterThanOrEqual(5);
});
