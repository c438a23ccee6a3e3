/**
 * What is published of the chips beside the figures that the emulator computes with (specification.ts): the rest of the data
 * sheet, in the words and units of its sources. Where sources differ, both are given.
 */
import type { Generation } from './specification.js';

/** What one source says, in its own words and units. */
export interface PublishedValue {
  readonly value: string;
  readonly source: string;
}

/** One figure of the data sheet, for both generations. */
export interface PublishedFigure {
  readonly name: string;
  readonly of: Readonly<Record<Generation, PublishedValue>>;
}

const row = (
  name: string,
  v1: readonly [value: string, source: string],
  v2: readonly [value: string, source: string],
): PublishedFigure => ({
  name,
  of: { v1: { value: v1[0], source: v1[1] }, '2i': { value: v2[0], source: v2[1] } },
});

/** The data sheet, in the order of docs/hardware.md. */
export const PUBLISHED_FIGURES: readonly PublishedFigure[] = [
  row('process', ['TSMC 7 nm', 'I23 Table I'], ['TSMC 5 nm', 'I25 Table 2']),
  row('clock, design and limit', ['at most 1.1 GHz', 'I23 Table I'], ['designed for 1.1 GHz', 'I25 section 5.2']),
  row(
    'instances',
    ['1.12 billion gates, 65 million flip-flops', 'I23 Table I'],
    ['2.35 billion gates, 103 million flip-flops', 'I25 Table 2'],
  ),
  row('die', ['19.34 x 19.1 mm, 373 mm2', 'I23 Table I'], ['25.6 x 16.4 mm, 421 mm2', 'I25 Table 2, B24']),
  row('package', ['43 x 43 mm, about 2800 pins', 'I23 Table I'], ['50 x 40 mm', 'I25 Table 2']),
  row('voltage', ['0.67 V logic, 0.75 V memories', 'I23 Table I'], ['0.85 V', 'I25 Table 2']),
  row(
    'power',
    ['25 W; card 35 W; I25: 35 W, typically 25 W', 'I23 Tables I and II, I25'],
    ['85 W, typically 65 W; B24: 90 W', 'I25 Table 2, I26, B24, HC24'],
  ),
  row('host link', ['PCIe Gen4 x8', 'I23 Table I'], ['PCIe Gen5 x8', 'I25 Table 2']),
  row('matrix products, system table', ['104 TOPS INT8, 52 TFLOPS FP16', 'I23 Table II'], ['no such table', 'I25']),
  row('INT8 matrix products, 2:4 sparse', ['no sparsity', 'I25 (introduced by 2i)'], ['708 TOPS', 'I25 Table 2']),
  row(
    'FP16/BF16 matrix products, 2:4 sparse',
    ['no sparsity', 'I25 (introduced by 2i)'],
    ['354 TFLOPS', 'I25 Table 2'],
  ),
  row(
    'RISC-V vector cores',
    ['3.2 TOPS INT8, 1.6 FP16, 0.8 FP32', 'I23 Table I'],
    ['5.5 TOPS INT8, 2.8 FP16, 1.4 BF16 and FP32; B24: 11.06, 5.53, 2.76', 'I25 Table 2, B24'],
  ),
  row('RISC-V vectors', ['RVV 0.8.1, 32 registers of 64 bytes', 'I23 section 3'], ['64 bytes wide', 'I25 section 3']),
  row(
    'SIMD engines',
    ['3.2 TOPS INT8, 1.6 FP16', 'I23 Table I'],
    ['5.5 TOPS INT8, FP16, BF16 and FP32; B24: 2.76 FP32', 'I25 Table 2, B24'],
  ),
  row(
    'local memory bandwidth',
    ['400 GB/s', 'I23 Table I'],
    ['1 TB/s read and written together', 'I25 Table 2, I26 Table I'],
  ),
  row(
    'SRAM',
    ['64 slices, addressable or a memory-side cache (four then serve a memory controller)', 'I23 section 3'],
    ['LLS and LLC in steps of 32 MB', 'I25'],
  ),
  row(
    'LPDDR5',
    [
      '16 channels; 64 GB, up to 128 GB addressable, 32 GB a card as deployed; I25: 32 to 64 GB',
      'I23 Tables I and II, section 3, I25',
    ],
    ['16 channels; 64 to 128 GB', 'I25 Table 2'],
  ),
  row('LPDDR bandwidth of a card', ['150 GB/s', 'I23 Table II'], ['204.8 GB/s', 'I25 Table 2']),
  row('matrix to SIMD throughput', ['not published', 'I23'], ['FP16/BF16 to FP32 32:1', 'I25']),
  row(
    'control core',
    ['one Arm core', 'I25 section 3.3'],
    ['four scalar RISC-V cores, 8 MB L2', 'HC24 slide 11, I25 section 3.1'],
  ),
  row(
    'network on chip',
    ['two AXI networks, one for registers', 'I23 section 3'],
    ['3.3 times v1; B24: twice', 'I25, B24'],
  ),
  row('weight decompression', ['none', 'I25 (introduced by 2i)'], ['ANS, lossless, up to 50 %', 'I25']),
  row(
    'job launch, replacement',
    ['not published', 'I23'],
    ['less than 1 us, less than 0.5 us; up to 80 % less than before', 'I25, HC24'],
  ),
];
