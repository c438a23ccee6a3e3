/**
 * Published performance of the chips, as data. I23 = Firoozshahian et al., ISCA'23; I25 = Coburn, Tang et al., ISCA'25.
 *
 * The charts of I23 print performance per watt of provisioned power: the platform's 780 W over its 12 cards, 65 W a card
 * (Table II). Figures were read off the charts to about 1 % of full scale, so a short bar is a coarse figure.
 */

/** Watts by which a figure per watt of I23 becomes one of the card: 780 W / 12 cards (Table II). */
export const PROVISIONED_WATTS = 65;

/** TOPS or TFLOPS per watt of one fully connected layer. */
export interface PublishedFullyConnected {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly int8: { readonly sram: number; readonly lpddr: number };
  readonly fp16: { readonly sram: number; readonly lpddr: number };
}

const fullyConnected = (
  shape: readonly [number, number, number],
  int8: readonly [number, number],
  fp16: readonly [number, number],
): PublishedFullyConnected => ({
  m: shape[0],
  k: shape[1],
  n: shape[2],
  int8: { sram: int8[0], lpddr: int8[1] },
  fp16: { sram: fp16[0], lpddr: fp16[1] },
});

/** I23, figures of FC: shape, INT8 from SRAM and LPDDR, FP16 from SRAM and LPDDR. */
export const FULLY_CONNECTED_V1: readonly PublishedFullyConnected[] = [
  fullyConnected([128, 1024, 1024], [0.46, 0.15], [0.31, 0.07]),
  fullyConnected([256, 1024, 1024], [0.72, 0.26], [0.44, 0.12]),
  fullyConnected([512, 1024, 1024], [0.99, 0.41], [0.57, 0.18]),
  fullyConnected([1024, 1024, 1024], [1.22, 0.57], [0.66, 0.24]),
  fullyConnected([2048, 1024, 1024], [1.38, 0.71], [0.72, 0.29]),
  fullyConnected([4096, 1024, 1024], [1.47, 0.82], [0.76, 0.32]),
  fullyConnected([128, 2048, 2048], [0.82, 0.1], [0.46, 0.05]),
  fullyConnected([256, 2048, 2048], [1.08, 0.19], [0.59, 0.1]),
  fullyConnected([512, 2048, 2048], [1.29, 0.31], [0.68, 0.16]),
  fullyConnected([1024, 2048, 2048], [1.43, 0.46], [0.73, 0.24]),
  fullyConnected([2048, 2048, 2048], [1.5, 0.6], [0.76, 0.3]),
  fullyConnected([4096, 2048, 2048], [1.54, 0.7], [0.78, 0.35]),
  fullyConnected([128, 4096, 4096], [1.03, 0.11], [0.53, 0.09]),
  fullyConnected([256, 4096, 4096], [1.25, 0.19], [0.64, 0.14]),
  fullyConnected([512, 4096, 4096], [1.4, 0.31], [0.71, 0.22]),
  fullyConnected([1024, 4096, 4096], [1.49, 0.42], [0.76, 0.31]),
  fullyConnected([2048, 4096, 4096], [1.55, 0.53], [0.78, 0.38]),
  fullyConnected([4096, 4096, 4096], [0.89, 0.6], [0.61, 0.43]),
];

/** GB/s per watt of table-batched embedding with 8-bit rows. */
export interface PublishedEmbedding {
  readonly pooling: number;
  readonly rows: number;
  readonly elements: number;
  readonly batch64: number;
  readonly batch256: number;
}

const embedding = (
  pooling: number,
  rows: number,
  elements: number,
  batch64: number,
  batch256: number,
): PublishedEmbedding => ({ pooling, rows, elements, batch64, batch256 });

const MILLION = 1_000_000;

/** I23, figures of TBE: pooling, rows, elements of a row, batch 64, batch 256. */
export const EMBEDDING_V1: readonly PublishedEmbedding[] = [
  embedding(1, 100, 64, 0.19, 0.21),
  embedding(1, MILLION, 64, 0.19, 0.21),
  embedding(20, 100, 64, 0.75, 0.8),
  embedding(20, MILLION, 64, 0.76, 0.8),
  embedding(50, 100, 64, 0.99, 1.03),
  embedding(50, MILLION, 64, 1, 1.03),
  embedding(1, 100, 128, 0.31, 0.34),
  embedding(1, MILLION, 128, 0.3, 0.34),
  embedding(20, 100, 128, 1.29, 1.36),
  embedding(20, MILLION, 128, 0.75, 0.77),
  embedding(50, 100, 128, 1.7, 1.76),
  embedding(50, MILLION, 128, 0.78, 0.79),
  embedding(1, 100, 256, 0.49, 0.53),
  embedding(1, MILLION, 256, 0.49, 0.53),
  embedding(20, 100, 256, 2.11, 2.24),
  embedding(20, MILLION, 256, 1.04, 1.05),
  embedding(50, 100, 256, 2.82, 2.91),
  embedding(50, MILLION, 256, 1.01, 1.02),
];

/** I23, figure of other operators: M = 256, K = 128, N = 32; GB/s from SRAM and from LPDDR. */
export const OPERATORS_V1 = {
  batchMatMul: { sram: 747, lpddr: 63 },
  transpose: { sram: 525, lpddr: 81 },
  concat: { sram: 576, lpddr: 58 },
  quantize: { sram: 326, lpddr: 37 },
  dequantize: { sram: 365, lpddr: 35 },
  tanh: { sram: 649, lpddr: 61 },
} as const;

/** What I25 says of MTIA 2i in words. */
export const STATEMENTS_2I = {
  /** Share of peak FLOPS of a 2048 x 2048 x 2048 product, section 4: "more than 92 %". */
  gemmShareOfPeak: 0.92,
  /** Share of the LPDDR's bandwidth at 512 x 26592 x 2048, section 4.2: "more than 95 %". */
  gemmShareOfLpddr: 0.95,
  /** Microseconds, section 3.3: "less than". */
  launchUs: 1,
  replaceUs: 0.5,
} as const;
