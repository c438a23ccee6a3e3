/** What a process pays before its first launch: each sample is a process of its own, with nothing of ours loaded. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { BenchmarkContext } from './context.js';
import { median } from './measure.js';
import type { Measurement } from './result.js';

const PROCESSES = 9;
const RUNTIME = new URL('../src/streaming-api/index.js', import.meta.url).href;

interface StartUp {
  /** Loading the modules, in milliseconds. */
  readonly importMs: number;
  /** Loading the library of the chip, boot of the firmware and all that a device sets up. */
  readonly openMs: number;
}

const program = (generation: string): string => `
  const start = performance.now();
  const { Device } = await import(${JSON.stringify(RUNTIME)});
  const imported = performance.now();
  const device = await Device.open({ generation: '${generation}' });
  const opened = performance.now();
  await device.close();
  console.log(JSON.stringify({ importMs: imported - start, openMs: opened - imported }));`;

async function startUp({ generation, signal }: BenchmarkContext): Promise<StartUp> {
  const args = ['--input-type=module', '--eval', program(generation)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { signal });
  return JSON.parse(stdout) as StartUp;
}

export async function measureStartUp(context: BenchmarkContext): Promise<readonly Measurement[]> {
  const samples: StartUp[] = [];
  for (let i = 0; i < PROCESSES; i++) samples.push(await startUp(context));
  const row = { unit: 'ms', better: 'lower' } as const;
  return [
    {
      ...row,
      name: 'library load and Device.open, in a new process',
      value: median(samples.map(({ openMs }) => openMs)),
      bar: { of: 'value', limit: 100 },
    },
    { ...row, name: "import 'mtia-runtime', in a new process", value: median(samples.map(({ importMs }) => importMs)) },
  ];
}
