/** How close outputs are to what a test data set expects. */
import { elements, formatShape, type Tensor } from './tensors.js';

export interface Tolerance {
  readonly atol: number;
  readonly rtol: number;
}

/** What each type can be held to when --atol and --rtol say nothing else: a few of its roundings in a row. */
export const DEFAULT_TOLERANCE = {
  bf16: { atol: 2e-2, rtol: 2e-2 },
  fp16: { atol: 3e-3, rtol: 3e-3 },
  int8: { atol: 5e-2, rtol: 5e-2 },
} as const satisfies Readonly<Record<string, Tolerance>>;

export interface Difference {
  readonly maxAbsError: number;
  /** Over elements whose expected value is not zero. */
  readonly maxRelError: number;
  /** The first element outside the tolerance, in words. */
  readonly violation?: string;
}

/** |a-b| <= atol + rtol*|b|; equal infinities agree, and so do two NaNs. */
function agrees(actual: number, expected: number, { atol, rtol }: Tolerance): boolean {
  if (Object.is(actual, expected) || actual === expected) return true;
  return Number.isFinite(expected) && Math.abs(actual - expected) <= atol + rtol * Math.abs(expected);
}

/** The widest difference; one that is not a number is wider than any. */
function wider(a: number, b: number): number {
  return Number.isNaN(b) ? Number.POSITIVE_INFINITY : Math.max(a, b);
}

export function compareTensors(actual: Tensor, expected: Tensor, tolerance: Tolerance): Difference {
  const mismatch = describeMismatch(actual, expected);
  if (mismatch !== undefined) {
    return { maxAbsError: Number.NaN, maxRelError: Number.NaN, violation: mismatch };
  }
  const [a, b] = [elements(actual), elements(expected)];
  let maxAbsError = 0;
  let maxRelError = 0;
  let violation: string | undefined;
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i] ?? Number.NaN, b[i] ?? Number.NaN];
    if (Object.is(x, y) || x === y) continue;
    const error = Math.abs(x - y);
    maxAbsError = wider(maxAbsError, error);
    if (y !== 0) maxRelError = wider(maxRelError, error / Math.abs(y));
    if (violation === undefined && !agrees(x, y, tolerance)) {
      violation = `output ${actual.name}, element ${i} is ${x}, expected ${y}`;
    }
  }
  return { maxAbsError, maxRelError, ...(violation === undefined ? {} : { violation }) };
}

function describeMismatch(actual: Tensor, expected: Tensor): string | undefined {
  const [has, wants] = [actual, expected].map(({ type, shape }) => `${type} ${formatShape(shape)}`);
  return has === wants ? undefined : `output ${actual.name} is ${has}, expected ${wants}`;
}

/** The worst of several outputs. */
export function worst(differences: readonly Difference[]): Difference {
  const violation = differences.find((difference) => difference.violation !== undefined)?.violation;
  const widest = (of: (difference: Difference) => number): number => Math.max(0, ...differences.map(of));
  return {
    maxAbsError: widest((difference) => difference.maxAbsError),
    maxRelError: widest((difference) => difference.maxRelError),
    ...(violation === undefined ? {} : { violation }),
  };
}
