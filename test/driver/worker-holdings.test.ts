import { describe, expect, it } from 'vitest';
import { type Holding, WorkerHoldings } from '../../src/driver/emulator/worker-holdings.js';

const CARD = { kind: 'card', id: 7n } as const;

function watched(): { readonly holdings: WorkerHoldings; readonly released: Holding[] } {
  const released: Holding[] = [];
  return { released, holdings: new WorkerHoldings((holding) => released.push(holding)) };
}

describe('WorkerHoldings', () => {
  it('gives back what a worker held when it ended, once', () => {
    const { holdings, released } = watched();
    holdings.note({ ...CARD, thread: 1, held: true });
    holdings.note({ kind: 'descriptor', id: 7n, thread: 1, held: true });
    holdings.note({ ...CARD, thread: 2, held: true });
    holdings.end(1);
    holdings.end(1);
    expect(released).toEqual([CARD, { kind: 'descriptor', id: 7n }]);
  });

  it('leaves alone what the worker gave back itself', () => {
    const { holdings, released } = watched();
    holdings.note({ ...CARD, thread: 1, held: true });
    holdings.note({ ...CARD, thread: 1, held: false });
    holdings.end(1);
    expect(released).toEqual([]);
  });

  it('gives back what it is told of only after the end', () => {
    const { holdings, released } = watched();
    holdings.end(1);
    holdings.note({ ...CARD, thread: 1, held: true });
    expect(released).toEqual([CARD]);
  });
});
