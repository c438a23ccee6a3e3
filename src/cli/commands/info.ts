/** `mtia info`: what is published of the chip, figure by figure, with its source. */
import type { Command } from 'commander';
import {
  type Figure,
  type FigureName,
  type Generation,
  PUBLISHED_FIGURES,
  SPECIFICATION_FIGURES,
  SPECIFICATIONS,
} from '../../hw/index.js';
import { exitCodeHelp } from '../exit-codes.js';
import { addJsonOption, deviceOption, type JsonFlag } from '../options.js';
import { printJson, printLine } from '../output.js';
import { formatTable } from '../table.js';

const LABEL: Readonly<Record<FigureName, string>> = {
  generationNumber: 'generation',
  clockMHz: 'clock',
  gridWidth: 'grid width',
  gridHeight: 'grid height',
  harts: 'RISC-V harts',
  controlHarts: 'control core harts',
  localMemoryBytes: 'local memory',
  localMemoryGBs: 'local memory bandwidth',
  sramBytes: 'SRAM',
  sramGBs: 'SRAM bandwidth',
  sramLatencyCycles: 'SRAM latency',
  lpddrBytes: 'LPDDR',
  lpddrMaximumBytes: 'LPDDR, largest',
  lpddrGBs: 'LPDDR bandwidth',
  lpddrEfficiency: 'LPDDR bandwidth in reach',
  lpddrAccessNs: 'LPDDR access',
  eccCost: 'LPDDR bandwidth that ECC costs',
  pcieGBs: 'PCI Express bandwidth',
  gunzipGBs: 'GZIP decompression',
  contextSramBytes: 'context SRAM',
  descriptorSramBytes: 'descriptor SRAM',
  int8Tops: 'INT8 matrix products',
  fp16Tflops: 'FP16/BF16 matrix products',
  seElementsPerCycle: 'SIMD engine, per cycle',
  dpeBytesOfKPerCycle: 'DPE, k per cycle',
  rowAccumulateRows: 'SIMD engine, rows accumulated',
  dmaAlignment: 'DMA alignment',
  dmaRequestCycles: 'DMA request',
  networkBytesPerCycle: 'PE to network, per cycle',
  broadcastDispatch: 'broadcast dispatch',
  queues: 'queues',
  interruptVectors: 'interrupt vectors',
  jobLaunchNs: 'job launch',
  jobReplaceNs: 'job replacement',
  jobHandOverShare: 'job hand-over',
  tdpWatts: 'thermal design power',
};

const BINARY_UNITS = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const;

function formatFigure(name: FigureName, { value, unit }: Figure): string {
  if (name === 'broadcastDispatch') return value === 1 ? 'yes' : 'no';
  const binary = unit.startsWith('bytes') ? BINARY_UNITS.find(([, size]) => value >= size) : undefined;
  if (binary === undefined) return `${value} ${unit}`.trim();
  return `${value / binary[1]} ${binary[0]}${unit.slice('bytes'.length)}`;
}

function printSpecification(generation: Generation, json: boolean): void {
  const specification = SPECIFICATIONS[generation];
  if (json) {
    const figures = Object.fromEntries(SPECIFICATION_FIGURES.map((name) => [name, specification[name]]));
    const published = PUBLISHED_FIGURES.map(({ name, of }) => ({ name, ...of[generation] }));
    printJson({ name: specification.name, generation, figures, published });
    return;
  }
  const rows = SPECIFICATION_FIGURES.map((name) => [
    LABEL[name],
    formatFigure(name, specification[name]),
    specification[name].source,
  ]);
  printLine(specification.name);
  printLine('');
  printLine(formatTable(['figure', 'value', 'source'], rows));
  printLine('');
  printLine('Published besides; the emulator computes with none of it:');
  printLine('');
  const published = PUBLISHED_FIGURES.map(({ name, of }) => [name, of[generation].value, of[generation].source]);
  printLine(formatTable(['what', 'value', 'source'], published));
  printLine('');
  printLine(
    "Sources: I23 = ISCA'23, I25 = ISCA'25, I26 = ISCA'26, HC24 = Hot Chips 2024, B24 = ai.meta.com, April 2024.",
  );
}

interface InfoOptions extends JsonFlag {
  readonly device: Generation;
}

/** Options and action; main.ts has made the command. */
export function defineInfoCommand(command: Command): void {
  command.addOption(deviceOption()).addHelpText('after', exitCodeHelp([0, 2]));
  addJsonOption(command).action((options: InfoOptions) => printSpecification(options.device, options.json === true));
}
