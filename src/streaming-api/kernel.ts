import { invalidArgument } from '../driver/index.js';

/**
 * A kernel of the firmware bundle, to be launched on a rectangle of processing elements. It stays good over resets.
 *
 * ```ts
 * await stream.launch(device.kernel('null'), { grid: { columns: 8, rows: 8 } });
 * ```
 */
export class Kernel {
  /** As the firmware bundle calls it. */
  readonly name: string;
  /** Number by which the firmware knows it. */
  readonly id: number;
  readonly #card: object;

  /** Use Device.kernel. */
  constructor(name: string, id: number, card: object) {
    this.name = name;
    this.id = id;
    this.#card = card;
  }

  /** Throws where the kernel is another card's: its firmware may number its kernels in another way. */
  checkBelongsTo(card: object): void {
    if (this.#card !== card) throw invalidArgument(`kernel ${this.name} belongs to another device`);
  }
}
