/** In which order an executor takes requests, and which run together. */
import { describe, expect, it } from 'vitest';
import { Request } from '../../src/streaming-api/executor/request.js';
import { RequestQueue } from '../../src/streaming-api/executor/request-queue.js';
import { RecordLayout, RowRecord } from '../../src/streaming-api/executor/row-record.js';

const LAYOUT = new RecordLayout([]);
const request = (rows: number, priority = 0): Request => new Request(new RowRecord(LAYOUT, rows), { priority });

function queueOf(...requests: readonly Request[]): RequestQueue {
  const queue = new RequestQueue();
  for (const added of requests) queue.add(added);
  return queue;
}

describe('RequestQueue', () => {
  it('takes a higher priority first, and the first that came among equals', () => {
    const [a, b, c, d] = [request(1), request(1, 2), request(1), request(1, 2)];
    expect(queueOf(a, b, c, d).takeBatch(4)).toEqual([b, d, a, c]);
  });

  it('fills a batch up to its rows, and lets nobody overtake', () => {
    const [a, b, c] = [request(3), request(4), request(1)];
    const queue = queueOf(a, b, c);
    expect(queue.rows).toBe(8);
    expect(queue.takeBatch(4)).toEqual([a]);
    expect(queue.takeBatch(8)).toEqual([b, c]);
    expect(queue.takeBatch(8)).toEqual([]);
    expect([queue.rows, queue.length]).toEqual([0, 0]);
  });

  it('gives a request that has to run alone a batch of its own', () => {
    const [a, b, c] = [request(1), request(1), request(1)];
    b.alone = true;
    const queue = queueOf(a, b, c);
    expect([queue.takeBatch(8), queue.takeBatch(8), queue.takeBatch(8)]).toEqual([[a], [b], [c]]);
  });

  it('puts a request that comes back before its equals and behind its betters', () => {
    const [a, b, c] = [request(1, 1), request(1), request(1)];
    const queue = queueOf(a, b);
    queue.addFirst(c);
    expect(queue.takeBatch(8)).toEqual([a, c, b]);
  });

  it('forgets a request that is removed', () => {
    const [a, b] = [request(2), request(3)];
    const queue = queueOf(a, b);
    expect([queue.remove(a), queue.remove(a)]).toEqual([true, false]);
    expect(queue.rows).toBe(3);
    expect(queue.clear()).toEqual([b]);
    expect(queue.length).toBe(0);
  });
});

describe('Request', () => {
  it('is settled once, and cleans up then', async () => {
    const settled = request(1);
    let cleanUps = 0;
    settled.whenSettled(() => cleanUps++);
    settled.reject(new Error('first'));
    settled.reject(new Error('second'));
    await expect(settled.result).rejects.toThrow('first');
    expect(cleanUps).toBe(1);
  });
});
