/** One request of an executor, from the call to the answer. */
import type { GraphTensor } from '../../compiler/compiled-graph.js';
import { MtiaError } from '../../driver/index.js';
import type { RunResult, TensorData } from '../model-types.js';
import { checkInputs } from '../tensor-data.js';
import { rowBytes } from './batch-sizes.js';
import type { RowRecord } from './row-record.js';

/** How urgent one request of an executor is, and who may give it up. */
export interface ExecutorRunOptions {
  /**
   * Rejects the request with ABORTED. One that waits leaves the queue; of one that runs the result is dropped, and the batch
   * is ended where nobody else is in it.
   */
  readonly signal?: AbortSignal;
  /** Milliseconds from the call in which the request has to be answered; else it fails with DEADLINE_EXCEEDED. */
  readonly deadlineMs?: number;
  /** Requests of a higher priority go first; 0 when absent. */
  readonly priority?: number;
}

/** The answer to one request: the outputs of its own rows. */
export interface ExecutorResult extends RunResult {
  /** Rows of all requests that ran together with this one, its own included. */
  readonly batchRows: number;
}

export class Request {
  /** The executor's own copy of the inputs. */
  readonly record: RowRecord;
  readonly priority: number;
  readonly arrivedMs = performance.now();
  /** Of performance.now(). */
  readonly deadlineAtMs: number;
  /** Resolves or rejects once. */
  readonly result: Promise<ExecutorResult>;
  /** Set where a batch failed: whose fault it was shows when each runs by itself. */
  alone = false;
  /** Worker threads that ended while they ran it. */
  losses = 0;
  #settled = false;
  #resolve: (result: ExecutorResult) => void = () => undefined;
  #reject: (error: unknown) => void = () => undefined;
  readonly #cleanUps: (() => void)[] = [];

  constructor(record: RowRecord, options: ExecutorRunOptions) {
    this.record = record;
    this.priority = options.priority ?? 0;
    this.deadlineAtMs = this.arrivedMs + (options.deadlineMs ?? Number.POSITIVE_INFINITY);
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get rows(): number {
    return this.record.rows;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Runs when the request is settled. */
  whenSettled(cleanUp: () => void): void {
    this.#cleanUps.push(cleanUp);
  }

  resolve(result: ExecutorResult): void {
    if (this.#settle()) this.#resolve(result);
  }

  reject(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    for (const cleanUp of this.#cleanUps) cleanUp();
    return true;
  }
}

/** Inputs of a request: which ones the model takes, of how many rows. */
export class RequestCheck {
  readonly #declared: readonly GraphTensor[];
  readonly #maxRows: number | undefined;
  /** What a request of so many rows must be. */
  readonly #expected = new Map<number, readonly GraphTensor[]>();

  /** `declared` are the inputs of any graph of the model; they have to fit exactly where `maxRows` is undefined. */
  constructor(declared: readonly GraphTensor[], maxRows: number | undefined) {
    this.#declared = declared;
    this.#maxRows = maxRows;
  }

  /** In the order of the model. Throws SHAPE_MISMATCH, naming the input, where one does not fit. */
  check(inputs: Readonly<Record<string, TensorData>>): { readonly data: readonly TensorData[]; readonly rows: number } {
    if (this.#maxRows === undefined) return { data: checkInputs(inputs, this.#declared), rows: 1 };
    const rows = this.#rowsOf(inputs);
    const data = checkInputs(inputs, this.#inputsOf(rows));
    if (rows <= this.#maxRows) return { data, rows };
    throw new MtiaError(
      'SHAPE_MISMATCH',
      `the request has ${rows} rows; the executor takes ${this.#maxRows} at most (maxBatch)`,
    );
  }

  /** As many as the first input has; the others have to have as many. */
  #rowsOf(inputs: Readonly<Record<string, TensorData>>): number {
    const [first] = this.#declared;
    const given = first && inputs?.[first.name];
    return first && ArrayBuffer.isView(given) ? Math.max(1, Math.floor(given.byteLength / rowBytes(first))) : 1;
  }

  #inputsOf(rows: number): readonly GraphTensor[] {
    const known = this.#expected.get(rows);
    if (known !== undefined) return known;
    const tensors = this.#declared.map((tensor) => ({
      ...tensor,
      shape: tensor.shape.with(0, rows),
      bytes: rows * rowBytes(tensor),
    }));
    // A caller's mistake is not worth remembering.
    if (rows <= (this.#maxRows ?? 0)) this.#expected.set(rows, tensors);
    return tensors;
  }
}
