/*
 * BATCHED_MATRICES: the operators of I23's table of "other operators" on many matrices of M = 256, K = 128, N = 32, for
 * `mtia bench fidelity`. Matrices are dealt to the PEs in turn and pass through in pieces of rows: hart 0 loads, hart 1
 * has the units work and stores. The library has no such kernels, because its compiler needs none.
 */
#include "mtia_kernel.h"

#define M 256ull
#define K 128ull
#define N 32ull
#define PIECE_ROWS 64ull
#define PIECES (M / PIECE_ROWS)

enum buffer { CB_FIRST, CB_SECOND, CB_OUTPUT, CB_WEIGHT, CB_SCALE, CB_VALUES };

enum operation { BATCH_MATMUL, TRANSPOSE, CONCAT, QUANTIZE, DEQUANTIZE, OPERATIONS };

struct arguments {
  uint64_t operation, first, second, output, batch;
};

/* How a matrix is cut: bytes. The second operand comes by piece, or once a matrix where a piece of it has none. */
struct shape {
  uint64_t first_piece, second_piece, second_matrix, output_piece;
  /* The output of a piece: rows of row_bytes, stride apart; the next piece begins step later. */
  uint64_t rows, row_bytes, stride, step;
};

#define FP16_BYTES 2ull
#define FP32_BYTES 4ull
static const struct shape shapes[OPERATIONS] = {
    [BATCH_MATMUL] = {.first_piece = PIECE_ROWS * K * FP16_BYTES, .second_matrix = N * K * FP16_BYTES,
                      .output_piece = PIECE_ROWS * N * FP16_BYTES, .rows = 1, .row_bytes = PIECE_ROWS * N * FP16_BYTES,
                      .step = PIECE_ROWS * N * FP16_BYTES},
    [TRANSPOSE] = {.first_piece = PIECE_ROWS * K * FP16_BYTES, .output_piece = PIECE_ROWS * K * FP16_BYTES, .rows = K,
                   .row_bytes = PIECE_ROWS * FP16_BYTES, .stride = M * FP16_BYTES, .step = PIECE_ROWS * FP16_BYTES},
    [CONCAT] = {.first_piece = PIECE_ROWS * K * FP16_BYTES, .second_piece = PIECE_ROWS * N * FP16_BYTES,
                .output_piece = PIECE_ROWS * (K + N) * FP16_BYTES, .rows = 1,
                .row_bytes = PIECE_ROWS * (K + N) * FP16_BYTES, .step = PIECE_ROWS * (K + N) * FP16_BYTES},
    [QUANTIZE] = {.first_piece = PIECE_ROWS * K * FP16_BYTES, .output_piece = PIECE_ROWS * K, .rows = 1,
                  .row_bytes = PIECE_ROWS * K, .step = PIECE_ROWS * K},
    [DEQUANTIZE] = {.first_piece = PIECE_ROWS * K, .output_piece = PIECE_ROWS * K * FP32_BYTES, .rows = 1,
                    .row_bytes = PIECE_ROWS * K * FP32_BYTES, .step = PIECE_ROWS * K * FP32_BYTES},
};

static uint64_t second_slot(const struct shape *s) { return s->second_piece + s->second_matrix; }

static void place_buffers(const struct shape *s) {
  uint64_t end = place_buffer(CB_FIRST, KERNEL_BUFFERS_OFFSET, 2 * s->first_piece);
  if (second_slot(s) != 0) end = place_buffer(CB_SECOND, end, 2 * second_slot(s));
  if (s->second_matrix != 0) end = place_buffer(CB_WEIGHT, end, s->second_matrix);
  end = place_buffer(CB_OUTPUT, end, 2 * s->output_piece);
  end = place_buffer(CB_SCALE, end, K * FP32_BYTES);
  place_buffer(CB_VALUES, end, 32 * K * FP32_BYTES);
}

/* ---- Hart 0: loads ---- */

static void load_bytes(uint64_t address, uint64_t cb, uint64_t bytes) {
  dma_shape(1, bytes);
  dma_strides(bytes, bytes);
  dma_in(address, cb);
}

static void load_matrix(const struct arguments *a, const struct shape *s, uint64_t matrix) {
  if (s->second_matrix != 0) load_bytes(a->second + matrix * s->second_matrix, CB_SECOND, s->second_matrix);
  for (uint64_t piece = matrix * PIECES; piece < (matrix + 1) * PIECES; piece++) {
    load_bytes(a->first + piece * s->first_piece, CB_FIRST, s->first_piece);
    if (s->second_piece != 0) load_bytes(a->second + piece * s->second_piece, CB_SECOND, s->second_piece);
  }
}

/* ---- Hart 1: the units ---- */

/* B comes as N rows of K: the 4 bytes of k of a column are an element of a transpose, which makes the DPE's layout. */
static void lay_out_weight(const struct shape *s) {
  const uint64_t groups = K * FP16_BYTES / 4;
  mlu_shape(N, groups, 4);
  mlu_strides(groups * 4, N * 4);
  mlu_transpose(CB_SECOND, 0, CB_WEIGHT, 0);
  cb_pop(CB_SECOND, s->second_matrix);
  cb_push(CB_WEIGHT, s->second_matrix);
}

static void multiply_piece(void) {
  const struct reduction how = {MTIA_SE_IDENTITY, MTIA_TYPE_FP16, N * FP16_BYTES};
  mml_stride(K * FP16_BYTES);
  mml_shape(32, N, MTIA_TYPE_FP16, 1);
  for (uint64_t half = 0; half < PIECE_ROWS / 32; half++) {
    accumulator_clear(half);
    for (uint64_t k = 0; k < K * FP16_BYTES; k += MML_K_BYTES)
      mml(half, CB_FIRST, half * 32 * K * FP16_BYTES + k, CB_WEIGHT, k * N);
    reduce(half, CB_OUTPUT, half * 32 * how.stride, 32, N, how);
  }
}

static void transpose_piece(void) {
  mlu_shape(PIECE_ROWS, K, FP16_BYTES);
  mlu_strides(K * FP16_BYTES, PIECE_ROWS * FP16_BYTES);
  mlu_transpose(CB_FIRST, 0, CB_OUTPUT, 0);
}

static void concat_piece(void) {
  const uint64_t first = K * FP16_BYTES, second = N * FP16_BYTES;
  mlu_shape(PIECE_ROWS, K, FP16_BYTES);
  mlu_strides(first, first + second);
  mlu_copy(CB_FIRST, 0, CB_OUTPUT, 0);
  mlu_shape(PIECE_ROWS, N, FP16_BYTES);
  mlu_strides(second, first + second);
  mlu_copy(CB_SECOND, 0, CB_OUTPUT, first);
}

/* Rows at a time that every generation's SIMD engine takes. */
#define SE_ROWS 32ull

static void quantize_piece(void) {
  const struct se_operand scale = {CB_SCALE, 0, MTIA_TYPE_FP16};
  struct se_operand from = {CB_FIRST, 0, MTIA_TYPE_FP16}, to = {CB_OUTPUT, 0, MTIA_TYPE_INT8};
  se_shape(SE_ROWS, K);
  se_strides(K * FP16_BYTES, 0, K);
  for (; to.offset < PIECE_ROWS * K; from.offset += SE_ROWS * K * FP16_BYTES, to.offset += SE_ROWS * K)
    se_binary(MTIA_SE_OPERATION_MULTIPLY, from, scale, to);
}

/* Both operands of a product have one type, so the values are widened first. */
static void dequantize_piece(void) {
  const struct se_operand scale = {CB_SCALE, 0, MTIA_TYPE_FP32}, values = {CB_VALUES, 0, MTIA_TYPE_FP32};
  struct se_operand from = {CB_FIRST, 0, MTIA_TYPE_INT8}, to = {CB_OUTPUT, 0, MTIA_TYPE_FP32};
  const uint64_t wide = SE_ROWS * K * FP32_BYTES;
  se_shape(SE_ROWS, K);
  for (; from.offset < PIECE_ROWS * K; from.offset += SE_ROWS * K, to.offset += wide) {
    se_strides(K, 0, K * FP32_BYTES);
    se_unary(MTIA_SE_IDENTITY, from, values);
    cb_push(CB_VALUES, wide);
    se_strides(K * FP32_BYTES, 0, K * FP32_BYTES);
    se_binary(MTIA_SE_OPERATION_MULTIPLY, values, scale, to);
    cb_pop(CB_VALUES, wide);
  }
}

/* No table of functions: a kernel's code runs at another place than the one it is linked for. */
static void work_on_piece(uint64_t operation) {
  if (operation == BATCH_MATMUL) multiply_piece();
  if (operation == TRANSPOSE) transpose_piece();
  if (operation == CONCAT) concat_piece();
  if (operation == QUANTIZE) quantize_piece();
  if (operation == DEQUANTIZE) dequantize_piece();
}

static void work_on_matrix(const struct arguments *a, const struct shape *s, uint64_t matrix) {
  const uint64_t output_bytes = PIECES * s->output_piece;
  if (s->second_matrix != 0) lay_out_weight(s);
  for (uint64_t piece = 0; piece < PIECES; piece++) {
    work_on_piece(a->operation);
    cb_pop(CB_FIRST, s->first_piece);
    if (s->second_piece != 0) cb_pop(CB_SECOND, s->second_piece);
    cb_push(CB_OUTPUT, s->output_piece);
    dma_shape(s->rows, s->row_bytes);
    dma_strides(s->stride, s->row_bytes);
    dma_out_slot(a->output + matrix * output_bytes + piece * s->step, CB_OUTPUT, s->rows * s->row_bytes, s->output_piece);
  }
  if (s->second_matrix != 0) cb_pop(CB_WEIGHT, s->second_matrix);
}

/* Scale 1/2 or 2, by the type that the operation multiplies in: exact, so that a test can say what comes out. */
static void write_scale(uint64_t operation) {
  uint8_t *const scale = cb_wait_space(CB_SCALE, K * FP32_BYTES);
  for (uint64_t at = 0; at < K; at++) {
    if (operation == QUANTIZE) ((volatile uint16_t *)(void *)scale)[at] = 0x3800;
    else ((volatile uint32_t *)(void *)scale)[at] = 0x40000000;
  }
  cb_push(CB_SCALE, K * FP32_BYTES);
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  const struct arguments *const a = (const struct arguments *)(const void *)job->arguments;
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (a->operation >= OPERATIONS) return MTIA_RESULT_BAD_ARGUMENT;
  const struct shape *const shape = &shapes[a->operation];
  if (hart == 0) place_buffers(shape);
  buffers_ready(hart);
  if (hart == 1) write_scale(a->operation);
  for (uint64_t matrix = place.index; matrix < a->batch; matrix += place.count) {
    if (hart == 0)
      load_matrix(a, shape, matrix);
    else
      work_on_matrix(a, shape, matrix);
  }
  return MTIA_RESULT_OK;
}
