/** Interrupts that the fault injector puts out of order. */
import { expect, it } from 'vitest';
import { FaultInjectingFunction, type InterruptSubscription, NullFunction } from '../../src/driver/index.js';

/** A card whose interrupts a test raises. */
class SilentFunction extends NullFunction {
  readonly raise = new Map<number, () => void>();

  override onInterrupt(vector: number, listener: () => void): InterruptSubscription {
    this.raise.set(vector, listener);
    return { ref: () => undefined, unref: () => undefined, close: () => undefined };
  }
}

function listen(random: () => number) {
  const card = new SilentFunction();
  const faulty = new FaultInjectingFunction(card, random);
  const heard: number[] = [];
  const subscriptions = [1, 2, 3].map((vector) => faulty.onInterrupt(vector, () => heard.push(vector)));
  const raise = (vector: number): void => card.raise.get(vector)?.();
  return { faulty, heard, subscriptions, raise };
}

it('has an interrupt arrive behind the next one, whichever vector that is of, and none lost', () => {
  // Of each interrupt: whether it is dropped, then whether it is held back.
  const draws = [0.9, 0.1, 0.9, 0.9, 0.9, 0.9];
  const { faulty, heard, raise } = listen(() => draws.shift() ?? 1);
  faulty.faults.reorderInterrupts = 0.5;
  for (const vector of [1, 2, 3]) raise(vector);
  expect(heard).toEqual([2, 1, 3]);
  expect(faulty.injected).toBe(1);
});

it('delivers an interrupt that no other follows', async () => {
  const { faulty, heard, raise } = listen(() => 0);
  faulty.faults.reorderInterrupts = 1;
  raise(3);
  expect(heard).toEqual([]);
  await expect.poll(() => heard).toEqual([3]);
});

it('calls no listener that is closed, for an interrupt that was held back', () => {
  const { faulty, heard, subscriptions, raise } = listen(() => 0);
  faulty.faults.reorderInterrupts = 1;
  raise(1);
  subscriptions[0]?.close();
  faulty.faults.reorderInterrupts = 0;
  raise(2);
  expect(heard).toEqual([2]);
});
