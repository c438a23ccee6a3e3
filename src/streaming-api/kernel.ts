/**
 * A kernel of the firmware bundle, to be launched on a rectangle of processing elements.
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

  /** Use Device.kernel. */
  constructor(name: string, id: number) {
    this.name = name;
    this.id = id;
  }
}
