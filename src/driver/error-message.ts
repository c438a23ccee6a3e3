/** An MtiaError on its way between threads: structured clones lose its class and code. */
import type { ErrorName } from '../hw/index.js';
import { type FaultPlace, MtiaError } from './errors.js';

/** What postMessage carries of an MtiaError. */
export interface ErrorMessage {
  readonly code: ErrorName;
  readonly message: string;
  readonly place?: FaultPlace;
  readonly cause?: unknown;
}

/** For postMessage; a cause that is an Error keeps its message only. */
export function encodeError({ code, message, place, cause }: MtiaError): ErrorMessage {
  return {
    code,
    message,
    ...(place === undefined ? {} : { place }),
    ...(cause === undefined ? {} : { cause: cause instanceof Error ? new Error(cause.message) : cause }),
  };
}

/** The MtiaError that another thread has encoded. */
export function decodeError({ code, message, place, cause }: ErrorMessage): MtiaError {
  return new MtiaError(code, message, {
    ...(place === undefined ? {} : { place }),
    ...(cause === undefined ? {} : { cause }),
  });
}
