import { describe, expect, test } from 'vitest';
import { Grid } from '../../src/compiler/planning/footprints.js';
import { SPECIFICATIONS } from '../../src/hw/index.js';

/**
 * What device time says of these shapes, measured over all tiles and rectangles with operands in SRAM: m, n, bytes of k, then
 * the fastest rectangle.
 */
const MEASURED = [
  ['a wide product', 2048, 2048, 4096, 8, 8],
  ['a product with two column tiles a PE', 512, 1024, 2048, 8, 8],
  ['a product with one column tile a PE', 512, 512, 2048, 8, 8],
  ['few rows', 64, 1024, 960, 8, 2],
  ['one row', 1, 1024, 2048, 8, 1],
  ['one block of columns', 512, 32, 512, 1, 8],
] as const;

describe.each(['v1', '2i'] as const)('rectangles of FULLY_CONNECTED, %s', (generation) => {
  const grid = new Grid(SPECIFICATIONS[generation]);
  test.each(MEASURED)('%s gets the PEs that are fastest', (_, m, n, kBytes, columns, rows) => {
    expect(grid.fullyConnected(m, n, kBytes, 8)).toMatchObject({ columns, rows });
  });
  test('a rectangle keeps within the rows that are free', () => {
    expect(grid.fullyConnected(2048, 2048, 4096, 3).rows).toBe(3);
  });
});

test('without broadcast a product gets fewer PEs where reaching one more costs more than it saves', () => {
  const { v1 } = SPECIFICATIONS;
  const withBroadcast = { ...v1, broadcastDispatch: { ...v1.broadcastDispatch, value: 1 } };
  const small = [256, 256, 256, 8] as const;
  expect(new Grid(v1).fullyConnected(...small)).toMatchObject({ columns: 8, rows: 4 });
  expect(new Grid(withBroadcast).fullyConnected(...small)).toMatchObject({ columns: 8, rows: 8 });
});
