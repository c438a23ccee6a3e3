/**
 * A card that does nothing: it accepts every command and completes it at once. What remains is the cost of the driver and
 * of everything above it, which is what it measures. No copy moves a byte and no wait waits.
 */
import type { Generation } from '../../hw/index.js';
import type { CardLimits } from '../card-limits.js';
import { DONE, SoftwareFunction, type SoftwareOutcome } from './software-function.js';

/** A card that says of every command that it is done, and does nothing. */
export class NullFunction extends SoftwareFunction {
  constructor(generation: Generation = '2i', limits: CardLimits = {}) {
    super('null', generation, limits);
  }

  protected override execute(): SoftwareOutcome {
    return DONE;
  }

  protected override clear(): void {
    // Nothing was kept.
  }
}
