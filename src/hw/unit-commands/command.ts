/** What a unit command is made of. */
import type { UnitName } from '../unit-operands.js';

/** One field of a unit command. */
export interface CommandField {
  readonly name: string;
  /** rs1, rs2, or the name of a command register. */
  readonly from: string;
  readonly low: number;
  readonly bits: number;
  readonly legal: string;
}

/** A command of a fixed-function unit: a custom instruction of the harts. */
export interface UnitCommand {
  readonly name: string;
  readonly code: number;
  readonly unit: UnitName;
  readonly fields: readonly CommandField[];
  readonly doc: string;
}

/** A field of the first source register. */
export const rs1 = (name: string, low: number, bits: number, legal: string): CommandField => ({
  name,
  from: 'rs1',
  low,
  bits,
  legal,
});
/** A field of the second source register. */
export const rs2 = (name: string, low: number, bits: number, legal: string): CommandField => ({
  name,
  from: 'rs2',
  low,
  bits,
  legal,
});

/** What a field that names a buffer may hold. */
export const CB = 'an initialised circular buffer';
/** What an offset in a buffer may be. */
export const OFFSET = 'any; the block must not straddle the end of the buffer inside a row';
/** What a type may be. */
export const TYPE = 'see DATA_TYPE';
