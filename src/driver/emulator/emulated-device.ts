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
import { HoldingsLedger, type LedgerEntry } from './holdings-ledger.js';
import { loadLibrary, selectBinding } from './library-path.js';
import { adoptHoldings, threadHoldings } from './worker-holdings.js';

/** Which chip is emulated, and with what of the host. */
export interface EmulatorOptions {
  readonly generation: Generation;
  /** LPDDR of the card; as specified when absent. Memory is taken from the host only where it is touched. */
  readonly lpddrBytes?: number;
  /** Host threads that execute PEs; the number of processors when absent. */
  readonly threads?: number;
  /** Added to the nice value of those threads, 0 to 19: the event loop goes first then; 0 when absent. */
  readonly niceness?: number;
  /** What MTIA_MATMUL says when absent, and the fastest that this host has when that is not set. Results are the same. */
  readonly matmulPath?: MatmulPath;
  /** What the card has less of than its generation. */
  readonly limits?: CardLimits;
}

/** Of Linux. */
const MOST_NICENESS = 19;

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

/** As register GENERATION has it. */
function generationNumber(generation: Generation): number {
  if (Object.hasOwn(SPECIFICATIONS, generation)) return SPECIFICATIONS[generation].generationNumber.value;
  const known = Object.keys(SPECIFICATIONS).join(' or ');
  throw invalidArgument(`generation is ${JSON.stringify(generation)}; give ${known}`);
}

/** Zero where the option is absent, which leaves the choice to the chip. */
function count(option: 'lpddrBytes' | 'threads', value: number | undefined): number {
  if (value === undefined) return 0;
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw invalidArgument(`${option} is ${value}; give a whole number from 1`);
}

function nicenessOf({ niceness = 0 }: EmulatorOptions): number {
  if (Number.isInteger(niceness) && niceness >= 0 && niceness <= MOST_NICENESS) return niceness;
  throw invalidArgument(`niceness is ${niceness}; give 0 to ${MOST_NICENESS}`);
}

/** Throws the error that a status of the C library stands for. */
function checkStatus(status: number, call: CFunctionName, name: string): void {
  if (status === 0) return;
  const code = errorNameOf(status);
  if (code === 'CHIP_CLOSED') throw closedError(name);
  throw new MtiaError(code, `${name}: ${call} failed: ${ERROR_CODES[code].doc} (status ${status})`);
}

/** A card that another thread has opened: plain data that postMessage takes. */
export interface SharedEmulatedDevice {
  readonly name: string;
  readonly handle: bigint;
  /** Where the other thread writes down which host pages it holds. */
  readonly holdings: SharedArrayBuffer;
}

export class EmulatedDevice {
  readonly name: string;
  readonly binding: ForeignBinding;
  readonly library: CLibrary;
  readonly handle: bigint;
  /** Where host pages are written down. */
  readonly holdings: HoldingsLedger;
  /** Present where this thread opened the card, and so has to close it. */
  readonly #own: LedgerEntry | undefined;
  #closed = false;
  readonly #closeAtExit = (): void => this.close();

  static open(options: EmulatorOptions): EmulatedDevice {
    const binding = selectBinding();
    const library = loadLibrary(binding);
    const name = `emulated MTIA ${options.generation}`;
    const handle = openChip(library, name, options);
    const holdings = threadHoldings();
    return new EmulatedDevice({ name, handle }, binding, library, holdings, holdings.enter('card', handle));
  }

  /** The same card in another thread. Closing it here leaves the card open. */
  static attach(shared: SharedEmulatedDevice): EmulatedDevice {
    const binding = selectBinding();
    return new EmulatedDevice(shared, binding, loadLibrary(binding), new HoldingsLedger(shared.holdings), undefined);
  }

  private constructor(
    { name, handle }: Pick<SharedEmulatedDevice, 'name' | 'handle'>,
    binding: ForeignBinding,
    library: CLibrary,
    holdings: HoldingsLedger,
    own: LedgerEntry | undefined,
  ) {
    this.name = name;
    this.handle = handle;
    this.binding = binding;
    this.library = library;
    this.holdings = holdings;
    this.#own = own;
    if (own === undefined) return;
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
    if (this.#own === undefined) {
      adoptHoldings(this.holdings);
      return;
    }
    process.off('exit', this.#closeAtExit);
    process.setMaxListeners(process.getMaxListeners() - 1);
    this.check(this.library.mtia_close(this.handle), 'mtia_close');
    this.holdings.leave(this.#own);
  }
}

function openChip(library: CLibrary, name: string, options: EmulatorOptions): bigint {
  const { matmulPath: given } = options;
  const matmulPath = given === undefined ? matmulPathOfEnvironment() : checkMatmulPath('matmulPath', given);
  const { queues, interruptVectors, broadcast } = options.limits ?? {};
  const parameters = new Uint8Array(OPEN_PARAMETERS.size);
  encodeStruct(OPEN_PARAMETERS, new DataView(parameters.buffer), 0, {
    struct_bytes: OPEN_PARAMETERS.size,
    generation: generationNumber(options.generation),
    lpddr_bytes: BigInt(count('lpddrBytes', options.lpddrBytes)),
    pe_threads: count('threads', options.threads),
    matmul_path: MATMUL_PATH[matmulPath],
    queues: queues ?? 0,
    interrupt_vectors: interruptVectors ?? 0,
    without_broadcast: broadcast === false ? 1 : 0,
    pe_niceness: nicenessOf(options),
  });
  const handle = new BigUint64Array(1);
  const status = library.mtia_open(parameters, new Uint8Array(handle.buffer));
  if (status === ERROR_CODES.CHIP_MATMUL_PATH.code) throw noMatmulPath(library, name, matmulPath);
  checkStatus(status, 'mtia_open', name);
  return handle[0] ?? 0n;
}

function noMatmulPath(library: CLibrary, name: string, wanted: MatmulPath): MtiaError {
  const paths = library.mtia_matmul_paths();
  const here = MATMUL_PATHS.filter((path) => ((paths >>> MATMUL_PATH[path]) & 1) !== 0);
  return new MtiaError(
    'CHIP_MATMUL_PATH',
    `${name}: this host cannot run the matmul path "${wanted}"; it has ${here.join(', ')}`,
  );
}
