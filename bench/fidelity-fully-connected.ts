/** Fully connected layers of the published shapes, through FULLY_CONNECTED_MULTICAST. */
import { DATA_TYPE, DATA_TYPE_BYTES, type Generation } from '../src/hw/index.js';
import type { FidelityDevice, Memory } from './fidelity-device.js';
import { FULLY_CONNECTED_V1, PROVISIONED_WATTS } from './fidelity-published.js';
import type { FidelityRow } from './fidelity-rows.js';

export interface Layer {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly type: 'INT8' | 'FP16';
  /** Where the weights come from. */
  readonly memory: Memory;
  /** Where the input comes from and the output goes; as the weights when absent. */
  readonly activations?: Memory;
}

type Grid = FidelityDevice['device']['properties']['grid'];

const COLUMN_TILE = 64;
/** Bytes of k that are loaded at a time: five such slots of both operands fit into local memory. */
const CHUNK_BYTES: Readonly<Record<Generation, number>> = { v1: 128, '2i': 256 };

const MEMORY_NAME: Readonly<Record<Memory, string>> = { sram: 'SRAM', lpddr: 'LPDDR' };

interface Mapping {
  readonly tileRows: 32 | 64;
  readonly rowParts: number;
  readonly chunkBytes: number;
}

/**
 * How a layer is spread over the grid: the mapping with the fewest tiles for the busiest PE, counted in outputs, and of
 * those the one that reads least.
 */
function mappingOf({ m, n }: Layer, { columns, rows }: Grid, generation: Generation): Mapping {
  const candidates = ([64, 32] as const).flatMap((tileRows) =>
    [1, 2, 4, 8]
      .filter((rowParts) => rows % rowParts === 0)
      .map((rowParts) => {
        const down = Math.ceil(Math.ceil(m / tileRows) / rowParts);
        const across = Math.ceil(Math.ceil(n / COLUMN_TILE) / ((columns * rows) / rowParts));
        return { tileRows, rowParts, loaded: down * across * (tileRows + COLUMN_TILE), shared: rowParts };
      }),
  );
  const [best] = candidates.sort((a, b) => a.loaded - b.loaded || b.shared - a.shared);
  if (best === undefined) throw new Error('a grid of no rows');
  return { tileRows: best.tileRows, rowParts: best.rowParts, chunkBytes: CHUNK_BYTES[generation] };
}

/** Device time of one launch in microseconds. */
export async function fullyConnectedUs(target: FidelityDevice, layer: Layer): Promise<number> {
  const { m, k, n, type, memory, activations = memory } = layer;
  const { grid, generation } = target.device.properties;
  const kBytes = k * DATA_TYPE_BYTES[type];
  const mapping = mappingOf(layer, grid, generation);
  const kernel = target.device.kernel('FULLY_CONNECTED_MULTICAST');
  const { deviceUs } = await target.device.defaultStream.launch(kernel, { grid }, [
    await target.allocate(m * kBytes, activations),
    await target.allocate(n * kBytes, memory),
    await target.allocate(m * n * DATA_TYPE_BYTES.FP16, activations),
    m,
    n,
    kBytes,
    DATA_TYPE[type],
    mapping.tileRows,
    mapping.rowParts,
    mapping.chunkBytes,
  ]);
  return deviceUs;
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
