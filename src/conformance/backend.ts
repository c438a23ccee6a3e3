/** What the suite runs against: a way to get cards, and what they can do. */
import type { CardLimits, MatmulPath, PciFunction } from '../driver/index.js';
import type { DebugPort } from '../firmware-emu/index.js';
import type { Generation } from '../hw/index.js';
import type { Capability } from './capabilities.js';

/** How a case wants its card. */
export interface CardOptions {
  /** Host threads that execute processing elements, where the card is emulated. */
  readonly threads?: number;
  /** Instructions with which the host multiplies, where the card is emulated; it throws where the host has them not. */
  readonly matmulPath?: MatmulPath;
  /** What the card is to have less of than its generation; only where the backend is capable of `limits`. */
  readonly limits?: CardLimits;
}

/** A card and, where it has one, the debug door on it. */
export interface Card {
  readonly pci: PciFunction;
  readonly debug?: DebugPort;
}

/**
 * A device under test. A team with a `PciFunction` of its own exports one as `backend` from a module and runs
 * `mtia conformance --backend FILE`, or passes it to `runConformance`.
 */
export interface Backend {
  readonly name: string;
  readonly generation: Generation;
  readonly capabilities: ReadonlySet<Capability>;
  /** A card as after power-on; the suite closes it. Called once or more in a case. */
  openCard(options: CardOptions): Card;
}
