/**
 * Random programs over the whole API, with injected faults and restarts, for as long as is wanted.
 *
 *   npm run soak -- --minutes N [--seed S] [--device v1|2i]
 *
 * Prints its seed; a failure is made shorter and printed as a program. See docs/reliability.md.
 */
import { parseArgs } from 'node:util';
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
const line = (progress) =>
  `${progress.minutes.toFixed(1)} min: ${progress.programs} programs, ${progress.steps} steps, ${progress.restarts} restarts, ` +
  `${mebibytes(progress.residentBytes)} resident, ${progress.descriptors} descriptors`;

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
let printed = 0;
console.log(`soak of ${values.device}, seed ${seed}, ${minutes} minutes`);
const report = await soak({
  backend: emulatorBackend(values.device),
  firmware: withTestKernels(loadBundle()),
  seed,
  minutes,
  signal: stop.signal,
  onProgress: (progress) => {
    if (Math.floor(progress.minutes) <= printed) return;
    printed = Math.floor(progress.minutes);
    console.log(line(progress));
  },
});
console.log(`\n${line(report)}; ${mebibytes(report.residentAtFirst)} resident after 20 programs`);
if (report.failure !== undefined) {
  const { message, program } = report.failure;
  console.log(`FAILED with seed ${report.failure.seed}: ${message}`);
  if (program.length === 0) console.log('A fresh device does not fail with this program: it needs those before it.');
  for (const step of program) console.log(`  ${JSON.stringify(step)}`);
  process.exitCode = 1;
}
