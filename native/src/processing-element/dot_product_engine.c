/* The dot-product engine: products of blocks, added to an accumulator of the reduction engine. Arithmetic: matmul.h. */
#include "dot_product_engine.h"
#include <string.h>

/* From the last operand to the sum in the accumulator. Assumed: the length of the pipeline is not published. */
#define DPE_LATENCY 16

struct mml mml_of(const struct command *command) {
  return (struct mml){.m = (uint32_t)command->field[MTIA_MML_M_FIELD],
                      .n = (uint32_t)command->field[MTIA_MML_N_FIELD],
                      .k_bytes = (uint32_t)command->field[MTIA_MML_K_BYTES_FIELD],
                      .k_blocks = (uint32_t)command->field[MTIA_MML_K_BLOCKS_FIELD],
                      .type = (uint32_t)command->field[MTIA_MML_TYPE_FIELD],
                      .accumulator = (uint32_t)command->field[MTIA_MML_ACCUMULATOR_FIELD],
                      .stride = command->sticky[1] & 0xffffffffu};
}

/* Rows of B, of MATMUL_B_ROW_BYTES each, in one block of k. */
static uint32_t b_rows(const struct mml *mml) { return mml->k_bytes / 4; }

bool mml_prepare(struct pe *pe, struct command *command) {
  const struct mml mml = mml_of(command);
  if (mml.k_blocks == 0 || mml.k_blocks > pe->time.mml_blocks) return command_illegal(command, MTIA_MML_K_BLOCKS_FIELD);
  if ((mml.stride & 3) != 0) return command_illegal_sticky(command, 1);
  command_uses_accumulator(command, command->field[MTIA_MML_ACCUMULATOR_FIELD]);
  return command_needs_block(pe, command, (uint32_t)command->field[MTIA_MML_CB_A_FIELD], SIDE_DATA,
                             MTIA_MML_OFFSET_A_FIELD, mml.m, mml.k_blocks * mml.k_bytes, mml.stride) &&
         command_needs_block(pe, command, (uint32_t)command->field[MTIA_MML_CB_B_FIELD], SIDE_DATA,
                             MTIA_MML_OFFSET_B_FIELD, mml.k_blocks * b_rows(&mml), MATMUL_B_ROW_BYTES,
                             MATMUL_B_ROW_BYTES);
}

matmul_function *mml_function_of(const struct pe *pe, uint64_t type) {
  return type == MTIA_TYPE_INT8 ? pe->matmul->int8 : type == MTIA_TYPE_FP16 ? pe->matmul->fp16 : pe->matmul->bf16;
}

/* B goes around the end of its buffer: block by block, through a copy. */
static void multiply_wrapped(union accumulator *accumulator, matmul_function *function, struct matmul_operands *operands,
                             const struct block *b, uint32_t blocks) {
  uint8_t rows[MATMUL_ROWS / 2 * MATMUL_B_ROW_BYTES] __attribute__((aligned(64)));
  const uint32_t rows_a_block = operands->k_bytes / 4;
  operands->b = rows;
  operands->blocks = 1;
  for (uint32_t block = 0; block < blocks; block++) {
    for (uint32_t row = 0; row < rows_a_block; row++)
      memcpy(rows + row * MATMUL_B_ROW_BYTES, block_row(b, (uint64_t)block * rows_a_block + row), MATMUL_B_ROW_BYTES);
    function(accumulator, operands);
    for (uint32_t row = 0; row < operands->m; row++) operands->a[row] += operands->k_bytes;
  }
}

void mml_added(struct pe *pe, const struct mml *mml, uint64_t k_bytes) {
  const bool int8 = mml->type == MTIA_TYPE_INT8;
  pe->accumulator_states[mml->accumulator].content = int8 ? CONTENT_INT32 : CONTENT_FP32;
  pe->counters.matmul_multiplies += (uint64_t)mml->m * mml->n * (k_bytes / data_type_bytes(mml->type));
}

void mml_take_time(struct pe *pe, const struct mml *mml, const struct command *command, uint64_t steps, uint64_t bytes) {
  struct accumulator_state *const accumulator = &pe->accumulator_states[mml->accumulator];
  const uint64_t busy = later(steps * mml->n, cycles_of(bytes, pe->time.local_memory));
  const uint64_t start =
      time_line_take(pe, LINE_DPE, later(command_operands_time(pe, command), accumulator->ready), busy);
  const uint64_t done = start + busy + DPE_LATENCY;
  accumulator->sum_done = later(accumulator->sum_done, done);
  command_finish(pe, command, start, start + busy, done);
}

bool mml_execute(struct pe *pe, struct command *command) {
  const struct mml mml = mml_of(command);
  const uint64_t type = mml.type, number = mml.accumulator, k_bytes = (uint64_t)mml.k_bytes * mml.k_blocks;
  struct block a, b;
  if (!command_place_block(pe, command, &a, (uint32_t)command->field[MTIA_MML_CB_A_FIELD], SIDE_DATA,
                           MTIA_MML_OFFSET_A_FIELD, mml.m, mml.k_blocks * mml.k_bytes, mml.stride) ||
      !command_place_block(pe, command, &b, (uint32_t)command->field[MTIA_MML_CB_B_FIELD], SIDE_DATA,
                           MTIA_MML_OFFSET_B_FIELD, mml.k_blocks * b_rows(&mml), MATMUL_B_ROW_BYTES, MATMUL_B_ROW_BYTES))
    return false;
  struct matmul_operands operands = {.b = block_row(&b, 0), .m = mml.m, .n = mml.n, .k_bytes = mml.k_bytes,
                                     .blocks = mml.k_blocks};
  for (uint32_t row = 0; row < mml.m; row++) operands.a[row] = block_row(&a, row);
  if (b.contiguous)
    mml_function_of(pe, type)(&pe->accumulators[number], &operands);
  else
    multiply_wrapped(&pe->accumulators[number], mml_function_of(pe, type), &operands, &b, mml.k_blocks);
  mml_added(pe, &mml, k_bytes);
  mml_take_time(pe, &mml, command, divide_up(mml.k_bytes, pe->time.dpe_k_bytes) * mml.k_blocks, (mml.m + mml.n) * k_bytes);
  return true;
}
