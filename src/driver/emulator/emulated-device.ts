/** One open device of the C library: the handle, and the translation of C statuses into errors. */
import { ERROR_CODES, encodeStruct, errorNameOf, type Generation, SPECIFICATIONS } from '../../hw/index.js';
import type { CardLimits } from '../card-limits.js';
import { closedError, invalidArgument, MtiaError } from '../errors.js';
import type { ForeignBinding } from './c-abi.js';
import {
  type CFunctionName,
  type CLibrary,
  MATMUL_PATH,
  MATMUL_PATHS,
  type MatmulPath,
  OPEN_PARAMETERS,
} from './c-abi.js';
import { loadLibrary, selectBinding } from './library-path.js';
import { tellMainThread } from './worker-holdings.js';

export interface EmulatorOptions {
  readonly generation: Generation;
  /** LPDDR of the card; as specified when absent. Memory is taken from the host only where it is touched. */
  readonly lpddrBytes?: number;
  /** Host threads that execute PEs; the number of processors when absent. */
  readonly threads?: number;
  /** What MTIA_MATMUL says when absent, and the fastest that this host has when that is not set. Results are the same. */
  readonly matmulPath?: MatmulPath;
  /** What the card has less of than its generation. */
  readonly limits?: CardLimits;
}

function isMatmulPath(name: string): name is MatmulPath {
  return Object.hasOwn(MATMUL_PATH, name);
}

/** The path that MTIA_MATMUL names; the fastest when it is not set. */
function matmulPathOfEnvironment(): MatmulPath {
  return checkMatmulPath('MTIA_MATMUL', process.env.MTIA_MATMUL ?? 'fastest');
}

function checkMatmulPath(option: string, name: string): MatmulPath {
  if (isMatmulPath(name)) return name;
  throw invalidArgument(`${option} is "${name}"; set it to one of ${MATMUL_PATHS.join(', ')}`);
}

/** Throws the error that a status of the C library stands for. */
export function checkStatus(status: number, call: CFunctionName, name: string): void {
  if (status === 0) return;
  const code = errorNameOf(status);
  if (code === 'CHIP_CLOSED') throw closedError(name);
  throw new MtiaError(code, `${name}: ${call} failed: ${ERROR_CODES[code].doc} (status ${status})`);
}

export class EmulatedDevice {
  readonly name: string;
  readonly binding: ForeignBinding;
  readonly library: CLibrary;
  readonly handle: bigint;
  #closed = false;
  readonly #closeAtExit = (): void => this.close();

  constructor(options: EmulatorOptions) {
    this.name = `emulated MTIA ${options.generation}`;
    this.binding = selectBinding();
    this.library = loadLibrary(this.binding);
    this.handle = this.#open(options);
    tellMainThread({ kind: 'card', id: this.handle }, true);
    // The chip's threads must be joined before the process tears its memory down, even where close() is forgotten.
    process.setMaxListeners(process.getMaxListeners() + 1);
    process.on('exit', this.#closeAtExit);
  }

  get closed(): boolean {
    return this.#closed;
  }

  check(status: number, call: CFunctionName): void {
    checkStatus(status, call, this.name);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    process.off('exit', this.#closeAtExit);
    process.setMaxListeners(process.getMaxListeners() - 1);
    this.check(this.library.mtia_close(this.handle), 'mtia_close');
    tellMainThread({ kind: 'card', id: this.handle }, false);
  }

  #open(options: EmulatorOptions): bigint {
    const { matmulPath: given } = options;
    const matmulPath = given === undefined ? matmulPathOfEnvironment() : checkMatmulPath('matmulPath', given);
    const { queues, interruptVectors, broadcast } = options.limits ?? {};
    const parameters = new Uint8Array(OPEN_PARAMETERS.size);
    encodeStruct(OPEN_PARAMETERS, new DataView(parameters.buffer), 0, {
      struct_bytes: OPEN_PARAMETERS.size,
      generation: SPECIFICATIONS[options.generation].generationNumber.value,
      lpddr_bytes: BigInt(options.lpddrBytes ?? 0),
      pe_threads: options.threads ?? 0,
      matmul_path: MATMUL_PATH[matmulPath],
      queues: queues ?? 0,
      interrupt_vectors: interruptVectors ?? 0,
      without_broadcast: broadcast === false ? 1 : 0,
    });
    const handle = new BigUint64Array(1);
    const status = this.library.mtia_open(parameters, new Uint8Array(handle.buffer));
    if (status === ERROR_CODES.CHIP_MATMUL_PATH.code) throw this.#noMatmulPath(matmulPath);
    this.check(status, 'mtia_open');
    return handle[0] ?? 0n;
  }

  #noMatmulPath(wanted: MatmulPath): MtiaError {
    const paths = this.library.mtia_matmul_paths();
    const here = MATMUL_PATHS.filter((path) => ((paths >>> MATMUL_PATH[path]) & 1) !== 0);
    return new MtiaError(
      'CHIP_MATMUL_PATH',
      `${this.name}: this host cannot run the matmul path "${wanted}"; it has ${here.join(', ')}`,
    );
  }
}
