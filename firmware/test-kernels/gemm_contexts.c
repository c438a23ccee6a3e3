/*
 * GEMM_CONTEXTS: two products of different shapes, block of k by block of k in turn, of the same second operand. The ways of
 * saying so give the same sums; SPARSE those of a second operand of which half is kept. Every PE has operands of its own.
 */
#include "mtia_kernel.h"

enum buffer { CB_TALL, CB_FLAT, CB_B, CB_OUTPUT };
enum way { SET_REGISTERS, ADVANCE_IN_CONTEXTS, TRANSPOSE, SPARSE };

#define TALL_ROWS 32ull
#define FLAT_ROWS 8ull
#define COLUMNS 4ull /* so few that setting registers takes longer than multiplying */
#define ELEMENTS_A_BLOCK (MML_K_BYTES / 2) /* BF16 */

struct arguments {
  uint64_t tall, flat, b, output; /* one behind the other for each place; tall and flat: rows of k; with TRANSPOSE k rows */
  uint64_t blocks;                /* of 64 bytes of k */
  uint64_t way;
};

static void load(uint64_t address, uint64_t cb, uint64_t bytes) {
  dma_shape(1, bytes);
  dma_strides(bytes, bytes);
  dma_in(address, cb);
}

static void set_registers_each_time(const struct arguments *a, uint64_t k_bytes) {
  for (uint64_t block = 0; block < a->blocks; block++) {
    mml_shape(TALL_ROWS, COLUMNS, MTIA_TYPE_BF16, 1);
    mml_stride(k_bytes);
    mml(0, CB_TALL, block * MML_K_BYTES, CB_B, block * MML_BLOCK_BYTES);
    mml_shape(FLAT_ROWS, COLUMNS, MTIA_TYPE_BF16, 1);
    mml_stride(k_bytes);
    mml(1, CB_FLAT, block * MML_K_BYTES, CB_B, block * MML_BLOCK_BYTES);
  }
}

static void advance_in_contexts(const struct arguments *a, uint64_t k_bytes) {
  const uint64_t tall = mml_operands(0, CB_TALL, 0, CB_B) | mml_in_context(1) | mml_advancing();
  const uint64_t flat = mml_operands(1, CB_FLAT, 0, CB_B) | mml_in_context(2) | mml_advancing();
  mml_context(1, mml_shape_word(TALL_ROWS, COLUMNS, MTIA_TYPE_BF16, 1), k_bytes);
  mml_context(2, mml_shape_word(FLAT_ROWS, COLUMNS, MTIA_TYPE_BF16, 1), k_bytes);
  mml_advance_by(1, MML_K_BYTES, MML_BLOCK_BYTES);
  mml_advance_by(2, MML_K_BYTES, MML_BLOCK_BYTES);
  for (uint64_t block = 0; block < a->blocks; block++) {
    mml_words(tall, 0);
    mml_words(flat, 0);
  }
}

static void transpose(uint64_t blocks, uint64_t accumulator, uint64_t cb, uint64_t rows) {
  const uint64_t stride = rows * 2;
  mml_context(0, mml_shape_word(rows, COLUMNS, MTIA_TYPE_BF16, 1) | MML_TRANSPOSE_A, stride);
  for (uint64_t block = 0; block < blocks; block++)
    mml(accumulator, cb, block * ELEMENTS_A_BLOCK * stride, CB_B, block * MML_BLOCK_BYTES);
}

static void multiply_sparse(const struct arguments *a, uint64_t k_bytes) {
  const uint64_t block_bytes = mml_sparse_block_bytes(MTIA_TYPE_BF16);
  mml_context(0, mml_shape_word(TALL_ROWS, COLUMNS, MTIA_TYPE_BF16, a->blocks), k_bytes);
  mml_sparse(0, CB_TALL, 0, CB_B, 0);
  mml_context(0, mml_shape_word(FLAT_ROWS, COLUMNS, MTIA_TYPE_BF16, 1), k_bytes);
  for (uint64_t block = 0; block < a->blocks; block++) mml_sparse(1, CB_FLAT, block * MML_K_BYTES, CB_B, block * block_bytes);
}

static void store(uint64_t accumulator, uint64_t rows, uint64_t address) {
  const uint64_t bytes = rows * COLUMNS * 4;
  reduce(accumulator, CB_OUTPUT, 0, rows, COLUMNS, (struct reduction){MTIA_SE_IDENTITY, MTIA_TYPE_FP32, COLUMNS * 4});
  cb_push(CB_OUTPUT, bytes);
  dma_shape(1, bytes);
  dma_strides(bytes, bytes);
  dma_out(address, CB_OUTPUT);
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(arguments, a, job);
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (hart != 0) return MTIA_RESULT_OK;
  const uint64_t k_bytes = a->blocks * MML_K_BYTES, b_bytes = a->blocks * MML_BLOCK_BYTES, bytes = COLUMNS * 4;
  uint64_t end = KERNEL_BUFFERS_OFFSET;
  end = place_buffer(CB_TALL, end, TALL_ROWS * k_bytes);
  end = place_buffer(CB_FLAT, end, FLAT_ROWS * k_bytes);
  end = place_buffer(CB_B, end, b_bytes);
  place_buffer(CB_OUTPUT, end, (TALL_ROWS + FLAT_ROWS) * bytes);
  load(a->tall + place.index * TALL_ROWS * k_bytes, CB_TALL, TALL_ROWS * k_bytes);
  load(a->flat + place.index * FLAT_ROWS * k_bytes, CB_FLAT, FLAT_ROWS * k_bytes);
  load(a->b + place.index * b_bytes, CB_B, b_bytes);
  for (uint64_t accumulator = 0; accumulator < 2; accumulator++) accumulator_clear(accumulator);
  cb_wait_data(CB_B, b_bytes); /* so that issuing commands is all there is to wait for */
  if (a->way == SET_REGISTERS) set_registers_each_time(a, k_bytes);
  if (a->way == ADVANCE_IN_CONTEXTS) advance_in_contexts(a, k_bytes);
  if (a->way == SPARSE) multiply_sparse(a, k_bytes);
  if (a->way == TRANSPOSE) {
    transpose(a->blocks, 0, CB_TALL, TALL_ROWS);
    transpose(a->blocks, 1, CB_FLAT, FLAT_ROWS);
  }
  const uint64_t output = a->output + place.index * (TALL_ROWS + FLAT_ROWS) * bytes;
  store(0, TALL_ROWS, output);
  store(1, FLAT_ROWS, output + TALL_ROWS * bytes);
  return MTIA_RESULT_OK;
}
