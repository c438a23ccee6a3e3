/**
 * Random programs over the whole API, with injected faults and restarts, for as long as is wanted.
 *
 *   npm run soak -- --minutes N [--seed S] [--device v1|2i]
 *
 * Prints its seed; a failure is made shorter and printed as a program. See docs/reliability.md.
 */
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { emulatorBackend, soak, withTestKernels } from '../dist/src/conformance/index.js';
import { loadBundle } from '../dist/src/firmware-emu/index.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    device: { type: 'string', default: '2i' },
  },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed);
if (!(minutes > 0) || !Number.isSafeInteger(seed) || !['v1', '2i'].includes(values.device)) {
  console.error('usage: npm run soak -- --minutes N [--seed S] [--device v1|2i]');
  process.exit(2);
}

const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const held = ({ residentBytes, heapBytes, externalBytes, descriptors, threads }) =>
  `${mebibytes(residentBytes)} resident, ${mebibytes(heapBytes)} heap, ${mebibytes(externalBytes)} external, ` +
  `${descriptors} descriptors, ${threads} threads`;
const line = ({ minutes, programs, steps, commands, restarts, resets, faults, resources }) =>
  `${minutes.toFixed(1)} min: ${programs} programs, ${steps} steps, ${commands} commands, ${restarts} restarts ` +
  `(${resets} of them Device.reset), ${faults} faults; ${held(resources)}`;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
console.log(`soak of ${values.device}, seed ${seed}, ${minutes} minutes`);
const report = await soak({
  backend: emulatorBackend(values.device),
  firmware: withTestKernels(loadBundle()),
  seed,
  minutes,
  collectGarbage,
  signal: stop.signal,
  onProgress: (progress) => console.log(line(progress)),
});
console.log(`\n${line(report)}`);
console.log(`in the first minutes: ${held(report.atFirst)}\nat most: ${held(report.atMost)}`);
console.log(
  Object.entries(report.counts)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', '),
);
if (report.failure !== undefined) {
  const { message, program, shortened } = report.failure;
  console.log(`FAILED with seed ${report.failure.seed}: ${message}`);
  if (!shortened) console.log('A fresh device did not fail with this program.');
  for (const [index, step] of program.entries()) console.log(`  ${index} ${JSON.stringify(step)}`);
  process.exitCode = 1;
}
