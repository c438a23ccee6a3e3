/** Rows of `mtia bench fidelity`: a published figure, and the kernel whose device time predicts it. */
import type { Generation } from '../src/hw/index.js';
import type { FidelityDevice } from './fidelity-device.js';

export interface FidelityRow {
  readonly generation: Generation;
  readonly group: string;
  readonly name: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  readonly published: number;
  /** Published as a bound ("more than", "less than"): being on the right side of it is enough. */
  readonly isBound?: boolean;
  readonly source: string;
  /** The predicted figure in `unit`. */
  readonly predict: (device: FidelityDevice) => Promise<number>;
}
