import { MessageChannel } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startDeadline } from '../../src/driver/deadline.js';
import { RequestPort } from '../../src/driver/request-port.js';

const DAY_MS = 24 * 60 * 60 * 1000;

describe('a deadline', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('may be longer than a timer of Node, which would fire at once', () => {
    const late = vi.fn();
    startDeadline(60 * DAY_MS, late);
    vi.advanceTimersByTime(59 * DAY_MS);
    expect(late).not.toHaveBeenCalled();
    vi.advanceTimersByTime(DAY_MS);
    expect(late).toHaveBeenCalledOnce();
  });

  it('may be called off, also after days', () => {
    const late = vi.fn();
    const end = startDeadline(60 * DAY_MS, late);
    vi.advanceTimersByTime(40 * DAY_MS);
    end();
    vi.advanceTimersByTime(40 * DAY_MS);
    expect(late).not.toHaveBeenCalled();
  });

  it('of Infinity keeps no timer', () => {
    startDeadline(Number.POSITIVE_INFINITY, () => undefined);
    expect(vi.getTimerCount()).toBe(0);
  });
});

it('of Infinity leaves a request to another thread the time that it needs', async () => {
  const { port1, port2 } = new MessageChannel();
  const options = { deadlineMs: Number.POSITIVE_INFINITY, onEnd: () => undefined };
  const slow = () => new Promise<number>((resolve) => setTimeout(resolve, 50, 7));
  const asked = new RequestPort<{ ask(argument: undefined): Promise<number> }, object>(port1, { ask: slow }, options);
  const asking = new RequestPort<object, { ask(argument: undefined): Promise<number> }>(port2, {}, options);
  await expect(asking.request('ask', undefined)).resolves.toBe(7);
  asking.close(new Error('over') as never);
  asked.close(new Error('over') as never);
});
