import { describeValue, invalidArgument } from '../driver/index.js';
import type { CapturePoint } from './capture.js';
import type { Recording } from './recording.js';
import type { Stream } from './stream.js';

/**
 * A point in a stream that others wait for or measure from.
 *
 * ```ts
 * const start = stream.recordEvent();
 * stream.launch(kernel, { grid });
 * const end = stream.recordEvent();
 * await end.synchronize();
 * console.log(start.elapsedTime(end), 'ms');
 * ```
 */
export class Event {
  #recording: Recording | undefined;
  #captured: CapturePoint | undefined;

  /** Marks the present end of the stream; an earlier record is forgotten. */
  record(stream: Stream): this {
    checkStream(stream);
    stream.recordEvent(this);
    return this;
  }

  /** Makes the commands that are enqueued on `stream` from now on wait for the event. */
  wait(stream: Stream): void {
    checkStream(stream);
    stream.waitEvent(this);
  }

  /** Whether the stream has got there; true where the event was never recorded. */
  query(): boolean {
    this.#checkNotCaptured('query');
    return this.#recording === undefined || this.#recording.reached;
  }

  /**
   * Resolves when the stream has got there; rejects with the first failure in the stream before it that no
   * Stream.synchronize has reported.
   */
  async synchronize(): Promise<void> {
    this.#checkNotCaptured('synchronize');
    await this.#recording?.settled;
    if (this.#recording?.failure !== undefined) throw this.#recording.failure;
  }

  /** Milliseconds on this host's clock from this event to `end`. Both must have been reached. */
  elapsedTime(end: Event): number {
    checkEvent(end);
    return end.#reached().wallMs - this.#reached().wallMs;
  }

  /** Device time in microseconds that its stream took from this event to `end`, an event of the same stream. */
  elapsedDeviceUs(end: Event): number {
    checkEvent(end);
    const from = this.#reached();
    const to = end.#reached();
    if (from.stream !== to.stream)
      throw invalidArgument('the events were recorded on different streams; device time elapses on one');
    return to.deviceUs - from.deviceUs;
  }

  /** Device time in microseconds that its stream had taken up to the event. */
  get deviceUs(): number {
    return this.#reached().deviceUs;
  }

  /** The latest record; for streams. */
  get recording(): Recording | undefined {
    return this.#recording;
  }

  /** Where in a capture it was recorded last; for streams. */
  get captured(): CapturePoint | undefined {
    return this.#captured;
  }

  /** For streams. */
  attach(recording: Recording): void {
    this.#recording = recording;
    this.#captured = undefined;
  }

  /** For streams. */
  attachCaptured(point: CapturePoint): void {
    this.#recording = undefined;
    this.#captured = point;
  }

  /** The record of a capture is never reached: nothing runs. */
  #checkNotCaptured(what: string): void {
    if (this.#captured !== undefined) throw this.#captured.capture.refuse(`${what} of an event in a capture`);
  }

  #reached(): Recording {
    this.#checkNotCaptured('the time');
    const recording = this.#recording;
    if (recording === undefined) throw invalidArgument('the event was not recorded; call record first');
    if (!recording.reached) throw invalidArgument('the event was not reached yet; await its synchronize() first');
    return recording;
  }
}

/** For programs that no compiler has checked. */
function checkStream(stream: Stream): void {
  if (typeof stream?.recordEvent !== 'function')
    throw invalidArgument(`expected a stream, got ${describeValue(stream)}`);
}

/** For programs that no compiler has checked. */
function checkEvent(event: Event): void {
  if (!(event instanceof Event))
    throw invalidArgument(`expected an Event of this package, got ${describeValue(event)}`);
}
