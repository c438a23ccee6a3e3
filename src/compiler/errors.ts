/** The errors of the compiler, worded in one place. */
import { MtiaError } from '../driver/errors.js';

/** What an UNSUPPORTED_OPERATOR error is about. */
export interface UnsupportedOperator {
  /** As the model spells it: "Softmax", "aten.softmax.int". */
  readonly operator: string;
  /** Name of the node. */
  readonly node: string;
}

/** The file is not what it claims to be; `part` names the member, field or offset at fault. */
export function invalidModel(part: string, problem: string, cause?: unknown): MtiaError {
  return new MtiaError('INVALID_MODEL', `${part}: ${problem}`, cause === undefined ? {} : { cause });
}

/** An operator, or a use of it, that has no lowering. */
export function unsupported(operator: string, node: string, reason: string): MtiaError {
  const cause: UnsupportedOperator = { operator, node };
  return new MtiaError('UNSUPPORTED_OPERATOR', `node "${node}", operator ${operator}: ${reason}`, { cause });
}

/** Operator and node of an UNSUPPORTED_OPERATOR error that the compiler raised; undefined for any other error. */
export function unsupportedOperatorOf(error: unknown): UnsupportedOperator | undefined {
  if (!(error instanceof MtiaError) || error.code !== 'UNSUPPORTED_OPERATOR') return undefined;
  return error.cause as UnsupportedOperator | undefined;
}

export function shapeMismatch(message: string): MtiaError {
  return new MtiaError('SHAPE_MISMATCH', message);
}

/** Runs `read`; whatever else than an MtiaError comes out of it is a defect of the file, not of the program. */
export function guardFile<T>(part: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MtiaError) throw error;
    throw invalidModel(part, error instanceof Error ? error.message : String(error), error);
  }
}
