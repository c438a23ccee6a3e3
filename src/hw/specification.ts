/**
 * What is published of MTIA v1 and 2i. Every figure names its source:
 * I23 = Firoozshahian et al., ISCA'23; I25 = Coburn, Tang et al., ISCA'25; I26 = MTIA 300, ISCA'26;
 * HC24 = Hot Chips 2024; B24 = ai.meta.com, April 2024; "assumed" = not published, chosen here.
 */

import { LIMITS } from './register-values.js';

/** Generation of the chip: MTIA v1 (ISCA 2023) or MTIA 2i (ISCA 2025). */
export type Generation = 'v1' | '2i';

/** One figure of a specification, with its source. */
export interface Figure {
  readonly value: number;
  readonly unit: string;
  readonly source: string;
}

const figure = (value: number, unit: string, source: string): Figure => ({ value, unit, source });

/** Names of all figures, in the order in which they are shown. */
export const SPECIFICATION_FIGURES = [
  'generationNumber',
  'clockMHz',
  'gridWidth',
  'gridHeight',
  'harts',
  'controlHarts',
  'localMemoryBytes',
  'localMemoryGBs',
  'sramBytes',
  'sramGBs',
  'sramLatencyCycles',
  'lpddrBytes',
  'lpddrMaximumBytes',
  'lpddrGBs',
  'lpddrEfficiency',
  'lpddrAccessNs',
  'eccCost',
  'pcieGBs',
  'gunzipGBs',
  'contextSramBytes',
  'descriptorSramBytes',
  'int8Tops',
  'fp16Tflops',
  'seElementsPerCycle',
  'dpeBytesOfKPerCycle',
  'rowAccumulateRows',
  'dmaAlignment',
  'dmaRequestCycles',
  'networkBytesPerCycle',
  'broadcastDispatch',
  'queues',
  'interruptVectors',
  'jobLaunchNs',
  'jobReplaceNs',
  'jobHandOverShare',
  'tdpWatts',
] as const;

/** One of SPECIFICATION_FIGURES. */
export type FigureName = (typeof SPECIFICATION_FIGURES)[number];
/** Every figure of one generation. */
export type Specification = Readonly<Record<FigureName, Figure>> & {
  readonly name: string;
  readonly generation: Generation;
};

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;

/** LPDDR5 as JEDEC has it (JESD209-5): nanoseconds of a bank and of refresh; the chips' papers give none. */
const LPDDR5 = {
  banks: 16,
  rowCycleNs: 60,
  refreshNs: 280,
  refreshEveryNs: 3906,
  precharge: 18,
  activate: 18,
  read: 30,
};
const LPDDR_CHANNELS = 16;
/** What a PE asks of a channel at a time: a line of its caches. */
const LPDDR_REQUEST_BYTES = 64;

/**
 * GB/s of channels that serve one request after another, each of another row, because those of 64 PEs come mixed. Of m banks
 * that are asked in random order m^0.56 are at work at a time (Hellerman 1967); refresh stops all of them.
 */
function scatteredLpddrGBs(): number {
  const banksAtWork = LPDDR5.banks ** 0.56;
  const refreshed = 1 - LPDDR5.refreshNs / LPDDR5.refreshEveryNs;
  return ((LPDDR_CHANNELS * LPDDR_REQUEST_BYTES * banksAtWork) / LPDDR5.rowCycleNs) * refreshed;
}

const lpddrAccess = (): Figure =>
  figure(
    LPDDR5.precharge + LPDDR5.activate + LPDDR5.read,
    'ns',
    'assumed: JESD209-5 (precharge 18, activate 18, read and burst 30), on top of the way, which is that of SRAM',
  );

/** One by one a job comes to all PEs in five times the time of one: broadcast saves 80 % there. */
const handOver = (): Figure =>
  figure(
    Number((4 / (8 * 8 - 1)).toPrecision(3)),
    'of the cost, for each PE after the first, without broadcast',
    'assumed: I25 says that broadcast cuts launch time by up to 80 %: here on 64 PEs, and by nothing on one',
  );

/** The specifications of the chips. */
export const SPECIFICATIONS: Readonly<Record<Generation, Specification>> = {
  v1: {
    name: 'MTIA v1',
    generation: 'v1',
    generationNumber: figure(1, '', 'register GENERATION'),
    clockMHz: figure(800, 'MHz', 'I23 Table I (nominal; 1.1 GHz maximum)'),
    gridWidth: figure(8, 'PEs', 'I23 Table I'),
    gridHeight: figure(8, 'PEs', 'I23 Table I'),
    harts: figure(2, 'harts per PE', 'I23 section 3'),
    controlHarts: figure(1, 'harts', 'I25 section 3.3 (single core)'),
    localMemoryBytes: figure(128 * KB, 'bytes per PE', 'I23 Table I'),
    localMemoryGBs: figure(400, 'GB/s per PE', 'I23 Table I'),
    sramBytes: figure(128 * MB, 'bytes', 'I23 Table I'),
    sramGBs: figure(800, 'GB/s', 'I23 Table I'),
    sramLatencyCycles: figure(150, 'cycles', 'assumed: longer than typical (I23 section 7), no figure is published'),
    lpddrBytes: figure(64 * GB, 'bytes', 'I23 Table I'),
    lpddrMaximumBytes: figure(128 * GB, 'bytes', 'I23 section 3'),
    lpddrGBs: figure(176, 'GB/s', 'I23 Table I (theoretical)'),
    lpddrEfficiency: figure(
      Number((scatteredLpddrGBs() / 176).toPrecision(3)),
      '',
      'assumed: 16 channels (I23), 16 banks, 60 ns a row (JESD209-5), 64 bytes of each; I23 measures 35 to 81 GB/s, "about 40 %"',
    ),
    lpddrAccessNs: lpddrAccess(),
    eccCost: figure(0, 'of LPDDR bandwidth', 'assumed: what I23 measured includes it'),
    pcieGBs: figure(16, 'GB/s', 'I23 Table I (Gen4 x8)'),
    gunzipGBs: figure(0, 'GB/s of output', 'I25 (introduced by 2i)'),
    contextSramBytes: figure(4 * MB, 'bytes', 'assumed: published for 2i only (HC24)'),
    descriptorSramBytes: figure(4 * MB, 'bytes', 'assumed: published for 2i only (HC24)'),
    int8Tops: figure(102.4, 'TOPS', 'I23 Table I'),
    fp16Tflops: figure(51.2, 'TFLOPS', 'I23 Table I'),
    seElementsPerCycle: figure(16, 'elements', 'I25 Table 2 (1.6 TFLOPS FP16 where the 5.5 of 2i are 32 elements)'),
    dpeBytesOfKPerCycle: figure(32, 'bytes', 'I23 section 3 (32 x 32 B x 32 block in 32 cycles)'),
    rowAccumulateRows: figure(32, 'rows', 'I25 section 3.3'),
    dmaAlignment: figure(32, 'bytes', 'I23 section 4'),
    dmaRequestCycles: figure(
      45,
      'cycles',
      'assumed: one request unit a PE, about what an embedding row costs beyond its bytes (I23, TBE charts)',
    ),
    networkBytesPerCycle: figure(32, 'bytes per PE', 'assumed: a maximal FC loop needs no more (I23 section 4)'),
    broadcastDispatch: figure(0, '', 'I25 section 3.3 (introduced by 2i)'),
    queues: figure(LIMITS.QUEUES, '', 'assumed'),
    interruptVectors: figure(LIMITS.MSIX_VECTORS, '', 'assumed'),
    jobLaunchNs: figure(900, 'ns', 'assumed: on one PE as 2i, whose broadcast spares the hand-overs to others'),
    jobReplaceNs: figure(450, 'ns', 'assumed: as jobLaunchNs'),
    jobHandOverShare: handOver(),
    tdpWatts: figure(25, 'W', 'I23 Table I'),
  },
  '2i': {
    name: 'MTIA 2i',
    generation: '2i',
    generationNumber: figure(2, '', 'register GENERATION'),
    clockMHz: figure(1350, 'MHz', 'I25 section 5.2'),
    gridWidth: figure(8, 'PEs', 'I25 Table 2'),
    gridHeight: figure(8, 'PEs', 'I25 Table 2'),
    harts: figure(2, 'harts per PE', 'I25 section 3.2'),
    controlHarts: figure(4, 'harts', 'HC24 slide 11, I25 section 3.1'),
    localMemoryBytes: figure(384 * KB, 'bytes per PE', 'I25 Table 2'),
    localMemoryGBs: figure(1000, 'GB/s per PE', 'I25 Table 2'),
    sramBytes: figure(256 * MB, 'bytes', 'I25 Table 2'),
    sramGBs: figure(2700, 'GB/s', 'I25 Table 2'),
    sramLatencyCycles: figure(150, 'cycles', 'assumed: as MTIA v1'),
    lpddrBytes: figure(64 * GB, 'bytes', 'I25 Table 2 (64-128 GB)'),
    lpddrMaximumBytes: figure(128 * GB, 'bytes', 'I25 Table 2'),
    lpddrGBs: figure(204.8, 'GB/s', 'I25 Table 2'),
    lpddrEfficiency: figure(
      1,
      '',
      'assumed: I25 section 4.2 reaches more than 95 %, with flow control at the sources and prefetched tiles',
    ),
    lpddrAccessNs: lpddrAccess(),
    eccCost: figure(0.125, 'of LPDDR bandwidth', 'I25 section 5 (10-15 % of throughput)'),
    pcieGBs: figure(32, 'GB/s', 'I25 Table 2 (Gen5 x8)'),
    gunzipGBs: figure(25, 'GB/s of output', 'I25 (GZIP on the PCIe path, up to 25 GB/s)'),
    contextSramBytes: figure(4 * MB, 'bytes', 'HC24 slide 11'),
    descriptorSramBytes: figure(4 * MB, 'bytes', 'HC24 slide 11'),
    int8Tops: figure(354, 'TOPS', 'I25 Table 2 (dense)'),
    fp16Tflops: figure(177, 'TFLOPS', 'I25 Table 2 (dense)'),
    seElementsPerCycle: figure(32, 'elements', 'I26 Table I'),
    dpeBytesOfKPerCycle: figure(64, 'bytes', 'I25 section 3.2 (two tiles of 32 x 32 B x 32)'),
    rowAccumulateRows: figure(128, 'rows', 'I25 section 3.3'),
    dmaAlignment: figure(1, 'bytes', 'I25 section 3.3 (unaligned DMA_IN; DMA_OUT: assumed)'),
    dmaRequestCycles: figure(30, 'cycles', 'assumed: embeddings are 2-3 times as fast as on v1 (HC24)'),
    networkBytesPerCycle: figure(64, 'bytes per PE', 'assumed: twice what v1 has (I25 section 3.3)'),
    broadcastDispatch: figure(1, '', 'I25 section 3.3'),
    queues: figure(LIMITS.QUEUES, '', 'assumed'),
    interruptVectors: figure(LIMITS.MSIX_VECTORS, '', 'assumed'),
    jobLaunchNs: figure(900, 'ns', 'assumed: I25, HC24 (less than 1 us, a null kernel included)'),
    jobReplaceNs: figure(450, 'ns', 'assumed: I25, HC24 (less than 0.5 us)'),
    jobHandOverShare: handOver(),
    tdpWatts: figure(85, 'W', 'I25 Table 2'),
  },
};
