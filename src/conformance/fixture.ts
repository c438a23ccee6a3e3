/** What a case is given: cards and devices that are closed behind it, and random numbers that repeat. */
import { Device as CardDevice, type DeviceOptions as CardDeviceOptions, type FirmwareImage } from '../driver/index.js';
import { Device, type DeviceOptions } from '../streaming-api/index.js';
import type { Backend, Card, CardOptions } from './backend.js';
import type { Random } from './random.js';
import { Session } from './session.js';
import { type Measurement, outOfTolerance, type Tolerances } from './tolerances.js';

export interface FixtureParts {
  readonly backend: Backend;
  readonly firmware: FirmwareImage;
  readonly random: Random;
  readonly tolerances?: Tolerances;
}

type Close = () => void | Promise<void>;

/** What a case is given: the backend under test, its devices, and random numbers that a seed repeats. */
export class Fixture {
  readonly backend: Backend;
  /** The bundle under test. */
  readonly firmware: FirmwareImage;
  readonly random: Random;
  /** What the case has measured so far. */
  readonly measurements: Measurement[] = [];
  readonly #tolerances: Tolerances;
  readonly #closers: Close[] = [];

  constructor(parts: FixtureParts) {
    this.backend = parts.backend;
    this.firmware = parts.firmware;
    this.random = parts.random;
    this.#tolerances = parts.tolerances ?? {};
  }

  /** A card as after power-on, without firmware. */
  card(options: CardOptions = {}): Card {
    const card = this.backend.openCard(options);
    this.after(() => card.pci.close());
    return card;
  }

  /** A card with running firmware: contexts and queues. */
  async driver(options: CardDeviceOptions & CardOptions & { readonly card?: Card } = {}): Promise<CardDevice> {
    const { card = this.card(options), threads: _, matmulPath: __, limits: ___, ...rest } = options;
    const device = await CardDevice.open(card.pci, this.firmware, rest);
    this.after(() => device.close());
    return device;
  }

  /** A context of a card with running firmware. */
  async session(options: CardOptions & { readonly on?: CardDevice } = {}): Promise<Session> {
    return Session.open(options.on ?? (await this.driver(options)), this.firmware);
  }

  /** A device of the Streaming API. */
  async device(options: Omit<DeviceOptions, 'pci' | 'generation'> & { readonly card?: Card } = {}): Promise<Device> {
    const { card = this.card(options), threads: _, firmware = this.firmware, ...rest } = options;
    const device = await Device.open({ ...rest, firmware, pci: card.pci });
    this.after(() => device.close());
    return device;
  }

  /** Reports a figure; fails where the file of tolerances forbids it. */
  measure(name: string, value: number, unit: string): void {
    const measurement = { name, value, unit };
    this.measurements.push(measurement);
    const problem = outOfTolerance(measurement, this.#tolerances);
    if (problem !== undefined) throw new Error(problem);
  }

  /** Runs when the case is over, the latest first. */
  after(close: Close): void {
    this.#closers.push(close);
  }

  /** Closes everything; the first failure is thrown when all of it has been tried. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
