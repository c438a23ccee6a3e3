/** The device that a command works on. */
import { destination, type Logger, pino } from 'pino';
import type { CompiledGraph } from '../compiler/compiled-graph.js';
import { openEmulator } from '../driver/index.js';
import { Device, typedArrayOf } from '../streaming-api/index.js';
import { InputError, namingThreads } from './errors.js';
import { untilInterrupted } from './interrupt.js';
import type { DeviceFlags } from './options.js';
import type { Tensor } from './tensors.js';
import { fromTypedArray } from './typed-arrays.js';

const STDERR = 2;

function stderrLogger(level: string): Logger | undefined {
  return level === 'silent' ? undefined : pino({ level }, destination({ dest: STDERR, sync: true }));
}

async function openDevice(flags: DeviceFlags): Promise<Device> {
  if (flags.allowUnsigned === true && flags.firmware === undefined) {
    throw new InputError('--allow-unsigned is about the bundle of --firmware, which is not given');
  }
  const { device: generation, threads, matmul: matmulPath, firmware } = flags;
  const pci = openEmulator({
    generation,
    ...(matmulPath === undefined ? {} : { matmulPath }),
    ...(threads === undefined ? {} : { threads }),
  });
  const logger = stderrLogger(flags.logLevel);
  return Device.open({
    pci,
    allowUnsignedFirmware: flags.allowUnsigned === true,
    ...(firmware === undefined ? {} : { firmware }),
    ...(logger === undefined ? {} : { logger }),
  });
}

/** Works on an open device; it is closed when the work ends, however it ends. */
export async function withDevice<T>(flags: DeviceFlags, work: (device: Device) => Promise<T>): Promise<T> {
  const opening = namingThreads(flags.threads, () => openDevice(flags));
  const release = async (): Promise<void> => {
    // A device that did not open is closed already, and the work reports why.
    const device = await opening.catch(() => undefined);
    await device?.close();
  };
  return untilInterrupted(async () => work(await opening), release);
}

export interface RunReport {
  readonly outputs: readonly Tensor[];
  readonly wallMs: number;
  readonly deviceUs: number;
  readonly graphUs: number;
  readonly jobs: number;
}

/** Loads a graph, runs it once and frees it. Inputs are in the order of the graph and have its types and shapes. */
export async function runOnce(device: Device, graph: CompiledGraph, inputs: readonly Tensor[]): Promise<RunReport> {
  const model = await device.loadModel(graph, { concurrency: 1 });
  try {
    const named = graph.inputs.map((input, index) => {
      const given = inputs[index];
      if (given === undefined) throw new InputError(`input "${input.name}" is missing`);
      return [input.name, typedArrayOf(given.type, given.data)] as const;
    });
    const { outputs, ...figures } = await model.run(Object.fromEntries(named));
    return { ...figures, outputs: graph.outputs.map((output) => fromTypedArray(output, outputs[output.name])) };
  } finally {
    await model.close();
  }
}
