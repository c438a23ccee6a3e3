/** Errors as a person at a terminal needs them: one sentence that names the file and the field. */
import { debuglog } from 'node:util';
import { CommanderError } from 'commander';
import { MtiaError } from '../driver/errors.js';

const debug = debuglog('mtia');

/** An input that cannot be used. The message is the whole sentence. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/** Ends a command that a signal interrupted. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('interrupted');
    this.exitCode = exitCode;
  }
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EISDIR: 'is a directory, not a file',
  ENOTDIR: 'is not a directory, or a part of the path is not',
  EEXIST: 'exists already and is not a directory',
  ENOSPC: 'no space left on the file system',
  EROFS: 'the file system is read-only',
  ERR_FS_FILE_TOO_LARGE: 'the file is too large to read',
};

function systemErrorText(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return SYSTEM_ERRORS[error.code];
}

/** Messages of libraries may span lines; scripts read one. */
function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, ' ').trim();
}

function text(error: unknown): string {
  if (error instanceof CommanderError) return error.message.replace(/^error: /, '');
  return error instanceof Error ? error.message : String(error);
}

/** What went wrong, in one line. For those who need the stack: NODE_DEBUG=mtia. */
export function sentence(error: unknown): string {
  debug('%O', error);
  return oneLine(text(error));
}

/** The same failure with the file it is about in front, unless the message names the file already. */
export function inFile(path: string, error: unknown): Error {
  if (error instanceof InterruptedError) return error;
  const message = systemErrorText(error) ?? text(error);
  if (message.includes(path)) return error instanceof Error ? error : new InputError(message);
  if (error instanceof MtiaError) {
    const place = error.place === undefined ? {} : { place: error.place };
    return new MtiaError(error.code, `${path}: ${message}`, { ...place, cause: error.cause ?? error });
  }
  return new InputError(`${path}: ${message}`, { cause: error });
}

/** Runs work that concerns one file; its failures name that file. */
export async function aboutFile<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw inFile(path, error);
  }
}

/** The chip judges the number of threads; only the command line knows by which option it came. */
export async function namingThreads<T>(threads: number | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (threads === undefined || !(error instanceof MtiaError) || error.code !== 'CHIP_BAD_ARGUMENT') throw error;
    throw new InputError(`--threads ${threads}: more host threads than the emulated chip takes`, { cause: error });
  }
}
