/** What is known of a stream: whether it has failed, and whether what is enqueued on it next will be aborted. */
import type { ErrorName } from '../../hw/index.js';
import type { Stream, Timeline } from '../../streaming-api/index.js';

export type Certainty = 'no' | 'maybe' | 'yes';

export function worse(...all: readonly Certainty[]): Certainty {
  if (all.includes('yes')) return 'yes';
  return all.includes('maybe') ? 'maybe' : 'no';
}

export class TrackedStream {
  readonly stream: Stream;
  /** Whether it has a failure of its own that no synchronize has reported. */
  failure: Certainty = 'no';
  /** Whether it waited for work that had failed: its commands are aborted. */
  aborts: Certainty = 'no';
  /** With which of its own a synchronize may reject. */
  readonly codes = new Set<ErrorName>();
  /** Streams that have waited for this one. */
  readonly waiters = new Set<TrackedStream>();
  /** That this stream alone signals, for those behind it; replaced when a failure has spoilt it. */
  progress: { readonly timeline: Timeline; value: number; spoilt: boolean } | undefined;
  /** Host functions that were enqueued, and the latest that ran. */
  calls = 0;
  ran = 0;

  constructor(stream: Stream) {
    this.stream = stream;
  }

  /** Whether work that waits for the present end of it is aborted. */
  get taint(): Certainty {
    return worse(this.failure, this.aborts);
  }

  /** It waits for something with this taint, which `signaller` enqueued: itself, too, where that is a timeline. */
  waitsFor(signaller: TrackedStream, taint: Certainty): void {
    if (signaller !== this) signaller.waiters.add(this);
    this.aborts = worse(this.aborts, taint);
  }

  recover(): void {
    this.failure = 'no';
    this.aborts = 'no';
    this.codes.clear();
  }

  /** Itself and all that depend on it. */
  dependants(found: Set<TrackedStream> = new Set()): Set<TrackedStream> {
    if (found.has(this)) return found;
    found.add(this);
    for (const waiter of this.waiters) waiter.dependants(found);
    return found;
  }
}
