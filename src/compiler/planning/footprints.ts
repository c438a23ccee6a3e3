/**
 * How many PEs a job gets, and in which arrangement. The estimates only rank alternatives: unit throughput and bandwidth
 * come from the specification, the share of a PE from the kernels' way of dealing work.
 */
import type { Specification } from '../../hw/index.js';
import type { Footprint } from './buffers.js';

/** Cycles that a PE needs beyond its work: descriptor, set-up, the last store. */
const START_CYCLES = 400;
/** Cycles of the harts for a tile or an item, whatever its size. */
const ITEM_CYCLES = 120;
/** What one more PE must save to be worth its part of a launch, where a broadcast reaches it. */
const PE_CYCLES = 4;
/** Between a PE and the network, for each generation (v1: 32; docs/numerics.md). */
const NETWORK_BYTES_PER_CYCLE = 32;
/** Bytes below which splitting elementwise work further does not pay. */
const BYTES_WORTH_A_PE = 2048;
const TILES = [64, 32] as const;
const BLOCK = 32;

/** Bytes of both operands that the FC kernel loads at a time (LOAD_LIMIT there): until then nothing is multiplied. */
const LOAD_BYTES = 64 * 1024;

interface Shape {
  readonly columns: number;
  readonly rows: number;
}

interface Product {
  readonly m: number;
  readonly n: number;
  readonly kBytes: number;
  readonly rowTile: number;
  readonly columnTile: number;
}

/** What the estimates need of the specification. */
export class Grid {
  readonly columns: number;
  readonly rows: number;
  readonly #bytesPerCycle: number;
  readonly #networkBytesPerCycle: number;
  readonly #kBytesPerCycle: number;
  readonly #localBytes: number;
  readonly #peCycles: number;
  readonly launchCycles: number;

  constructor(specification: Specification) {
    this.columns = specification.gridWidth.value;
    this.rows = specification.gridHeight.value;
    const clock = specification.clockMHz.value;
    this.#bytesPerCycle = (specification.sramGBs.value * 1000) / clock;
    this.#networkBytesPerCycle = NETWORK_BYTES_PER_CYCLE * specification.generationNumber.value;
    this.#kBytesPerCycle = specification.dpeBytesOfKPerCycle.value;
    this.#localBytes = specification.localMemoryBytes.value;
    this.launchCycles = (specification.jobLaunchNs.value * clock) / 1000;
    // Most jobs of a graph follow others.
    const handOver = (specification.jobHandOverShare.value * specification.jobReplaceNs.value * clock) / 1000;
    this.#peCycles = specification.broadcastDispatch.value === 0 ? handOver : PE_CYCLES;
  }

  /** The FC kernel: the rectangle splits m over its rows and n over its columns, tile by tile. */
  fullyConnected(m: number, n: number, kBytes: number, maximumRows: number): Footprint {
    let best: Footprint | undefined;
    for (const rowTile of TILES) {
      for (const columnTile of TILES) {
        const rowTiles = Math.ceil(m / rowTile);
        const columnTiles = Math.ceil(n / columnTile);
        for (let rows = 1; rows <= Math.min(maximumRows, rowTiles); rows++) {
          for (let columns = 1; columns <= Math.min(this.columns, columnTiles); columns++) {
            const share = { rows: Math.ceil(rowTiles / rows), columns: Math.ceil(columnTiles / columns) };
            const cycles = this.#productCycles({ m, n, kBytes, rowTile, columnTile }, share, rows * columns);
            if (best === undefined || cycles < best.cycles) {
              best = { columns, rows, cycles, values: { row_tile: rowTile, column_tile: columnTile } };
            }
          }
        }
      }
    }
    return best ?? { columns: 1, rows: 1, cycles: 0, values: {} };
  }

  #productCycles(product: Product, share: Shape, pes: number): number {
    const { m, n, kBytes } = product;
    const rows = Math.min(product.rowTile, m);
    const columns = Math.min(product.columnTile, n);
    // A block takes the DPE as many cycles as it has columns, however few its rows are.
    const passes = Math.ceil(rows / BLOCK) * columns;
    const compute = share.rows * share.columns * (ITEM_CYCLES + (passes * kBytes) / this.#kBytesPerCycle);
    const { weightLoads, inputLoads } = this.#loads({ rows, columns }, kBytes, share);
    const port = (columns * share.columns * weightLoads + rows * share.rows * inputLoads) * kBytes;
    // PEs of a row read their input as a group and those of a column their weights, so memory delivers both once.
    const delivered = (n * weightLoads + m * inputLoads) * kBytes;
    const first = Math.min((rows + columns) * kBytes, LOAD_BYTES);
    const load = Math.max(port / this.#networkBytesPerCycle, delivered / this.#bytesPerCycle);
    return START_CYCLES + first / this.#networkBytesPerCycle + Math.max(compute, load) + pes * this.#peCycles;
  }

  /** How often the kernel loads an operand: once where local memory has room to keep it, weights first. */
  #loads(tile: Shape, kBytes: number, share: Shape): { readonly weightLoads: number; readonly inputLoads: number } {
    const room = this.#localBytes - 2 * LOAD_BYTES;
    const weight = tile.columns * kBytes;
    const input = share.rows * tile.rows * kBytes;
    const keepsWeight = share.rows > 1 && weight <= room;
    const keepsInput = input + (keepsWeight ? weight : 0) <= room;
    return { weightLoads: keepsWeight ? 1 : share.rows, inputLoads: keepsInput ? 1 : share.columns };
  }

  /** SRAM and LPDDR are shared by the PEs of a rectangle; the network of a PE is its own. */
  #loadCycles(bytesOfPe: number, pes: number): number {
    return bytesOfPe / Math.min(this.#networkBytesPerCycle, this.#bytesPerCycle / pes);
  }

  /** Kernels that deal blocks of rows to the PEs in turn. */
  dealt(items: number, bytesOfItem: number, cyclesOfItem: number, maximumRows: number): Footprint {
    const bytes = items * bytesOfItem;
    const useful = Math.min(items, Math.ceil((bytes + items * cyclesOfItem) / BYTES_WORTH_A_PE));
    const { columns, rows } = this.#rectangle(Math.max(1, useful), maximumRows);
    const pes = columns * rows;
    const share = Math.ceil(items / pes);
    const load = this.#loadCycles(share * bytesOfItem, pes);
    const cycles = START_CYCLES + Math.max(share * cyclesOfItem, load) + pes * this.#peCycles;
    return { columns, rows, cycles, values: {} };
  }

  /** The smallest rectangle with room for `pes`, columns first. */
  #rectangle(pes: number, maximumRows: number): Shape {
    const columns = Math.min(this.columns, pes);
    return { columns, rows: Math.min(maximumRows, Math.ceil(pes / columns)) };
  }
}
