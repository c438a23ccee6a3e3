/** What queue-ordered memory needs to know of a stream: commands are counted, and complete in the order of the count. */
export interface StreamOrder {
  /** For people, in snapshots and reports. */
  readonly number: number;
  /** Commands enqueued so far. */
  readonly enqueued: number;
  /** Commands of them that are done: the device has let go of their memory. */
  readonly completed: number;
  /** Commands of `other` that are done before whatever is enqueued here from now on: events were waited for. */
  covers(other: StreamOrder): number;
  /** Resolves when every command so far has ended, in whichever way. */
  whenIdle(): Promise<void>;
}
