/** Model files become compiled graphs. The only file here that knows the compiler. */
import type { CompiledGraph } from '../compiler/compiled-graph.js';
import { type FirmwareImage, MtiaError } from '../driver/index.js';
import { type Generation, PROTOCOL_VERSION } from '../hw/index.js';
import type { LoadOptions } from './model-types.js';

/** Reads a .pt2, .onnx or .mtg file and compiles it where that is not done yet. */
export async function readGraph(path: string, generation: Generation, options: LoadOptions): Promise<CompiledGraph> {
  throw new MtiaError('INVALID_MODEL', `no compiler yet for ${path} (${generation}, ${options.dtype ?? 'auto'})`);
}

/** Refuses a graph that was compiled for something else than this device with this firmware. */
export function checkGraph(graph: CompiledGraph, generation: Generation, firmware: FirmwareImage): void {
  if (graph.generation !== generation) {
    throw mismatch(`model ${graph.name} is compiled for ${graph.generation}, the device is ${generation}`);
  }
  if (graph.protocolVersion !== PROTOCOL_VERSION) {
    throw mismatch(
      `model ${graph.name} is compiled for protocol ${graph.protocolVersion}, this is ${PROTOCOL_VERSION}`,
    );
  }
  const known = new Set([...firmware.kernels.keys()].map((name) => name.toUpperCase()));
  const missing = graph.jobs.find((job) => !known.has(job.kernel.toUpperCase()));
  if (missing === undefined) return;
  throw mismatch(`model ${graph.name} needs kernel ${missing.kernel}, which firmware ${firmware.version} lacks`);
}

function mismatch(message: string): MtiaError {
  return new MtiaError('FIRMWARE_MISMATCH', `${message}; compile the model again`);
}
