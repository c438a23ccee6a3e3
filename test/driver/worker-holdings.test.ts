import { describe, expect, it } from 'vitest';
import { type Holding, HoldingsLedger } from '../../src/driver/emulator/holdings-ledger.js';
import { SharedCounters } from '../../src/driver/emulator/shared-counters.js';
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

  it('lets go of what the thread had attached, and gives back what nobody else holds', () => {
    const { holdings, released } = watched();
    const [owner, other] = [new HoldingsLedger(), new HoldingsLedger()];
    const kept = enter(owner, { ...PAGES, id: 1n });
    const left = enter(owner, PAGES);
    const counters = [kept, left].map((entry) => owner.share(entry));
    for (const [index, id] of [1n, PAGES.id].entries()) other.join(id, PAGES.bytes, counters[index] as Int32Array);
    expect(owner.leave(left)).toBe(false);
    holdings.note({ thread: 3, memory: other.memory });
    holdings.end(3);
    expect(released).toEqual([PAGES]);
    expect(counters.map((counter) => Atomics.load(counter, 0))).toEqual([1, 0]);
    expect(owner.leave(kept)).toBe(true);
  });

  it('gives back pages of a thread that has ended with the last that had attached them', () => {
    const { holdings, released } = watched();
    const [owner, other] = [new HoldingsLedger(), new HoldingsLedger()];
    const joined = other.join(PAGES.id, PAGES.bytes, owner.share(enter(owner, PAGES)));
    holdings.note({ thread: 3, memory: owner.memory });
    holdings.end(3);
    expect(released).toEqual([]);
    expect(joined !== undefined && other.leave(joined)).toBe(true);
  });

  it('attaches nothing that nobody holds any more', () => {
    const [owner, other] = [new HoldingsLedger(), new HoldingsLedger()];
    const entry = enter(owner, PAGES);
    const counter = owner.share(entry);
    expect(owner.leave(entry)).toBe(true);
    expect(other.join(PAGES.id, PAGES.bytes, counter)).toBeUndefined();
    other.releaseAll(() => expect.unreachable('it held nothing'));
    expect(Atomics.load(counter, 0)).toBe(0);
  });

  it('counts pages of a thread with which it has no table in common, and leaves them to the process', () => {
    const stranger = new HoldingsLedger(undefined, new SharedCounters());
    const counter = stranger.share(enter(stranger, PAGES));
    const ledger = new HoldingsLedger();
    const joined = ledger.join(PAGES.id, PAGES.bytes, counter);
    expect(Atomics.load(counter, 0)).toBe(2);
    ledger.releaseAll(() => expect.unreachable('it is not written down'));
    expect(joined !== undefined && ledger.leave(joined)).toBe(false);
    expect(Atomics.load(counter, 0)).toBe(1);
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
