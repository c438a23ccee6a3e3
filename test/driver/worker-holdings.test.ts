import { describe, expect, it } from 'vitest';
import { type Holding, HoldingsLedger } from '../../src/driver/emulator/holdings-ledger.js';
import { WorkerHoldings } from '../../src/driver/emulator/worker-holdings.js';

const CARD: Holding = { kind: 'card', id: 1n, bytes: 0 };
const PAGES: Holding = { kind: 'pages', id: 0x7f00_0000_0000n, bytes: 65536 };
const DESCRIPTOR: Holding = { kind: 'descriptor', id: 7n, bytes: 0 };

const enter = (ledger: HoldingsLedger, { kind, id, bytes }: Holding) => ledger.enter(kind, id, bytes);

function watched(): { readonly holdings: WorkerHoldings; readonly released: Holding[] } {
  const released: Holding[] = [];
  return { released, holdings: new WorkerHoldings((holding) => released.push(holding)) };
}

describe('WorkerHoldings', () => {
  it('gives back what a thread still holds when it ends: cards first, pages last, once', () => {
    const { holdings, released } = watched();
    const ledger = new HoldingsLedger();
    for (const holding of [PAGES, DESCRIPTOR, CARD]) enter(ledger, holding);
    const other = enter(ledger, { ...CARD, id: 2n });
    holdings.note({ thread: 3, memory: ledger.memory });
    expect(ledger.leave(other)).toBe(true);
    holdings.end(3);
    holdings.end(3);
    expect(released).toEqual([CARD, DESCRIPTOR, PAGES]);
  });

  it('gives back what it learns of when the thread has ended', () => {
    const { holdings, released } = watched();
    const ledger = new HoldingsLedger();
    enter(ledger, CARD);
    holdings.end(3);
    holdings.note({ thread: 3, memory: ledger.memory });
    expect(released).toEqual([CARD]);
  });

  it('leaves what other threads hold', () => {
    const { holdings, released } = watched();
    const [mine, others] = [new HoldingsLedger(), new HoldingsLedger()];
    const shared = enter(mine, PAGES);
    Atomics.add(shared.holders, 0, 1);
    enter(others, CARD);
    holdings.note({ thread: 3, memory: mine.memory });
    holdings.note({ thread: 4, memory: others.memory });
    holdings.end(3);
    expect(released).toEqual([]);
    expect(Atomics.load(shared.holders, 0)).toBe(1);
  });

  it('reuses entries, and does without them where there are more holdings than entries', () => {
    const ledger = new HoldingsLedger();
    for (let times = 0; times < 20_000; times++) ledger.leave(enter(ledger, PAGES));
    const entries = Array.from({ length: 10_000 }, () => enter(ledger, PAGES));
    let released = 0;
    const last = entries.at(-1);
    expect(last !== undefined && ledger.leave(last)).toBe(true);
    ledger.releaseAll(() => released++);
    expect(released).toBe(8192);
  });
});
