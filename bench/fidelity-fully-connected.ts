/** Fully connected layers of the published shapes, through the library's FULLY_CONNECTED kernel. */
import { DATA_TYPE, DATA_TYPE_BYTES, FULLY_CONNECTED_ARGUMENTS } from '../src/hw/index.js';
import type { FidelityDevice, Memory } from './fidelity-device.js';
import { FULLY_CONNECTED_V1, PROVISIONED_WATTS } from './fidelity-published.js';
import type { FidelityRow } from './fidelity-rows.js';

export interface Layer {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly type: 'FP16';
  /** Where the weights come from. */
  readonly memory: Memory;
  /** Where the input comes from and the output goes; as the weights when absent. */
  readonly activations?: Memory;
}

const MEMORY_NAME: Readonly<Record<Memory, string>> = { sram: 'SRAM', lpddr: 'LPDDR' };

/** Rows of a tile: small enough that every row of PEs gets one, if the layer has that many. */
function rowTile(m: number, rows: number): 32 | 64 {
  return m > 32 * rows ? 64 : 32;
}

/** Device time of one launch in microseconds. */
export async function fullyConnectedUs(target: FidelityDevice, layer: Layer): Promise<number> {
  const { m, k, n, type, memory, activations = memory } = layer;
  const bytes = DATA_TYPE_BYTES[type];
  const { rows } = target.device.properties.grid;
  return target.launchUs({
    kernel: 'FULLY_CONNECTED',
    layout: FULLY_CONNECTED_ARGUMENTS,
    values: {
      input: await target.allocate(m * k * bytes, activations),
      weight: await target.allocate(n * k * bytes, memory),
      output: await target.allocate(m * n * DATA_TYPE_BYTES.FP16, activations),
      m,
      n,
      k_bytes: k * bytes,
      input_stride: k * bytes,
      output_stride: n * DATA_TYPE_BYTES.FP16,
      output_columns: n,
      type: DATA_TYPE[type],
      output_type: DATA_TYPE.FP16,
      row_tile: rowTile(m, rows),
      column_tile: 64,
    },
  });
}

const teraPerSecond = ({ m, k, n }: Layer, us: number): number => (2 * m * k * n) / us / 1e6;

function row(layer: Layer, perWatt: number): FidelityRow {
  const { m, k, n, type, memory } = layer;
  return {
    generation: 'v1',
    group: `FC ${type}, ${MEMORY_NAME[memory]}, v1`,
    name: `${m} x ${k} x ${n}`,
    unit: 'TOPS',
    better: 'higher',
    published: perWatt * PROVISIONED_WATTS,
    source: 'I23',
    predict: async (target) => teraPerSecond(layer, await fullyConnectedUs(target, layer)),
  };
}

export const FULLY_CONNECTED_ROWS: readonly FidelityRow[] = (['FP16'] as const).flatMap((type) =>
  (['sram', 'lpddr'] as const).flatMap((memory) =>
    FULLY_CONNECTED_V1.map(({ m, k, n, ...figures }) =>
      row({ m, k, n, type, memory }, figures[type === 'FP16' ? 'fp16' : 'int8'][memory]),
    ),
  ),
);
