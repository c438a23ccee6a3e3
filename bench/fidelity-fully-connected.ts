/** Fully connected layers of the published shapes, through the library's FULLY_CONNECTED kernel. */
import { ACTIVATION, DATA_TYPE, DATA_TYPE_BYTES, FULLY_CONNECTED_ARGUMENTS } from '../src/hw/index.js';
import type { FidelityDevice, LaunchOf, Memory } from './fidelity-device.js';
import { FULLY_CONNECTED_V1, PROVISIONED_WATTS } from './fidelity-published.js';
import type { FidelityRow } from './fidelity-rows.js';

export interface Layer {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly type: 'INT8' | 'FP16' | 'BF16';
  /** Where the weights come from. */
  readonly memory: Memory;
  /** Where the input comes from and the output goes; as the weights when absent. */
  readonly activations?: Memory;
}

type FullyConnectedLaunch = LaunchOf<typeof FULLY_CONNECTED_ARGUMENTS>;

type Grid = FidelityDevice['device']['properties']['grid'];

const MEMORY_NAME: Readonly<Record<Memory, string>> = { sram: 'SRAM', lpddr: 'LPDDR' };

const TILES = [64, 32] as const;

interface Mapping {
  readonly rowTile: number;
  readonly columnTile: number;
  readonly rowParts: number;
}

/** The mapping with the fewest outputs for the busiest PE, and of those the one that reads least for them. */
function mappingOf({ m, n }: Layer, { columns, rows }: Grid): Mapping {
  const shapes = TILES.flatMap((rowTile) => TILES.map((columnTile) => ({ rowTile, columnTile })));
  const candidates = shapes.flatMap(({ rowTile, columnTile }) =>
    [8, 4, 2, 1]
      .filter((rowParts) => rows % rowParts === 0)
      .map((rowParts) => {
        const down = Math.ceil(Math.ceil(m / rowTile) / rowParts);
        const across = Math.ceil(Math.ceil(n / columnTile) / ((columns * rows) / rowParts));
        const tiles = down * across;
        return {
          rowTile,
          columnTile,
          rowParts,
          outputs: tiles * rowTile * columnTile,
          read: tiles * (rowTile + columnTile),
        };
      }),
  );
  const [best] = candidates.sort((a, b) => a.outputs - b.outputs || a.read - b.read);
  if (best === undefined) throw new Error('no tile');
  return best;
}

/** Output is FP16; INT8 sums are scaled by row and by column. */
export async function fullyConnectedLaunch(target: FidelityDevice, layer: Layer): Promise<FullyConnectedLaunch> {
  const { m, k, n, type, memory, activations = memory } = layer;
  const { grid } = target.device.properties;
  const kBytes = k * DATA_TYPE_BYTES[type];
  const outputStride = n * DATA_TYPE_BYTES.FP16;
  const { rowTile, columnTile, rowParts } = mappingOf(layer, grid);
  const scales =
    type === 'INT8'
      ? {
          row_scale: await target.allocate(m * DATA_TYPE_BYTES.FP32, activations),
          column_scale: await target.allocate(n * DATA_TYPE_BYTES.FP32, memory),
        }
      : {};
  return {
    kernel: 'FULLY_CONNECTED',
    layout: FULLY_CONNECTED_ARGUMENTS,
    values: {
      input: await target.allocate(m * kBytes, activations),
      weight: await target.allocate(n * kBytes, memory),
      output: await target.allocate(m * outputStride, activations),
      ...scales,
      m,
      n,
      k_bytes: kBytes,
      input_stride: kBytes,
      output_stride: outputStride,
      output_columns: n,
      type: DATA_TYPE[type],
      output_type: DATA_TYPE.FP16,
      activation: ACTIVATION.NONE,
      row_tile: rowTile,
      column_tile: columnTile,
      row_parts: rowParts,
    },
  };
}

/** Device time of one launch in microseconds. */
export async function fullyConnectedUs(target: FidelityDevice, layer: Layer): Promise<number> {
  return target.launchUs(await fullyConnectedLaunch(target, layer));
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

export const FULLY_CONNECTED_ROWS: readonly FidelityRow[] = (['INT8', 'FP16'] as const).flatMap((type) =>
  (['sram', 'lpddr'] as const).flatMap((memory) =>
    FULLY_CONNECTED_V1.map(({ m, k, n, ...figures }) =>
      row({ m, k, n, type, memory }, figures[type === 'FP16' ? 'fp16' : 'int8'][memory]),
    ),
  ),
);
