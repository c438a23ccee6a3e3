/** How fast the whole path is. Without a file of tolerances nothing is too slow: the figures are printed. */
import { HOST_COMMAND } from '../../hw/index.js';
import { category, conformanceCase } from '../case.js';
import type { Fixture } from '../fixture.js';

/** What the cases measure; a file of tolerances names some of them. */
export const FIGURES = [
  'host to device throughput',
  'device to host throughput',
  'command latency',
  'command throughput',
  'launch latency',
] as const;
type Figure = (typeof FIGURES)[number];

const LATENCIES = 200;
const BURST = 2_000;
const COPIES = 12;
const COPY_BYTES = 2 ** 20;

function measure(fixture: Fixture, name: Figure, value: number, unit: string): void {
  fixture.measure(name, value, unit);
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

async function latencyUs(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let time = 0; time < LATENCIES; time++) times.push(await secondsOf(work));
  return median(times) * 1e6;
}

const copies = (
  [
    ['host to device', HOST_COMMAND.COPY_HOST_TO_DEVICE],
    ['device to host', HOST_COMMAND.COPY_DEVICE_TO_HOST],
  ] as const
).map(([direction, opcode]) =>
  conformanceCase(`copies ${direction} fast enough`, 'PERF-1', { requires: ['memory'] }, async (fixture) => {
    const session = await fixture.session();
    const toDevice = opcode === HOST_COMMAND.COPY_HOST_TO_DEVICE;
    const [a, b] = toDevice ? [session.iova, session.memory] : [session.memory, session.iova];
    const copyAll = (): Promise<unknown> =>
      Promise.all(Array.from({ length: COPIES }, () => session.submit({ opcode, a, b, c: COPY_BYTES })));
    await copyAll();
    const seconds = await secondsOf(copyAll);
    measure(fixture, `${direction} throughput`, (COPIES * COPY_BYTES) / seconds / 1e6, 'MB/s');
  }),
);

export const performanceCases = category('performance', {}, [
  ...copies,

  conformanceCase('answers one command fast enough', 'PERF-1', {}, async (fixture) => {
    const session = await fixture.session();
    measure(fixture, 'command latency', await latencyUs(() => session.submit({ opcode: HOST_COMMAND.NOP })), 'us');
  }),

  conformanceCase('answers many commands fast enough', 'PERF-1', {}, async (fixture) => {
    const session = await fixture.session();
    const burst = (): Promise<unknown> =>
      Promise.all(Array.from({ length: BURST }, () => session.submit({ opcode: HOST_COMMAND.NOP })));
    await burst();
    measure(fixture, 'command throughput', BURST / (await secondsOf(burst)), 'commands/s');
  }),

  conformanceCase('launches a kernel fast enough', 'PERF-1', { requires: ['kernels'] }, async (fixture) => {
    const session = await fixture.session();
    await session.launch('NULL');
    measure(fixture, 'launch latency', await latencyUs(() => session.launch('NULL')), 'us');
  }),
]);
