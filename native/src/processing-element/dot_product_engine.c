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
                      .transpose_a = command->field[MTIA_MML_TRANSPOSE_A_FIELD] != 0,
                      .stride = command->sticky[1] & 0xffffffffu};
}

/* Rows of B, of MATMUL_B_ROW_BYTES each, in one block of k. */
static uint32_t b_rows(const struct mml *mml) { return mml->k_bytes / 4; }

/* ---- The first operand, and where contexts and advance have a say ---- */

static uint32_t context_register(const struct command *command, uint32_t number) {
  return number + (uint32_t)command->field[MTIA_MML_CONTEXT_FIELD] * MTIA_MML_CONTEXT_REGISTERS;
}

static uint64_t add_halves(uint64_t a, uint64_t b) {
  const uint64_t upper = (a >> 32) + (b >> 32);
  return upper << 32 | (uint32_t)(a + b);
}

void mml_accepted(struct pe *pe, const struct command *command) {
  if (command->field[MTIA_MML_ADVANCE_FIELD] == 0) return;
  uint64_t *const registers = pe->cp.registers[command->hart];
  uint64_t *const offset = &registers[context_register(command, MTIA_COMMAND_REGISTER_MML_OFFSET)];
  *offset = add_halves(*offset, registers[context_register(command, MTIA_COMMAND_REGISTER_MML_INCREMENT)]);
}

/* A as it lies in its buffer: m rows of k, or k rows of m elements. */
struct first_operand { uint64_t rows, row_bytes; };
static struct first_operand first_operand_of(const struct mml *mml) {
  const uint64_t k_bytes = (uint64_t)mml->k_bytes * mml->k_blocks, element_bytes = data_type_bytes(mml->type);
  if (mml->transpose_a) return (struct first_operand){k_bytes / element_bytes, mml->m * element_bytes};
  return (struct first_operand){mml->m, k_bytes};
}

bool mml_prepare_first(struct pe *pe, struct command *command, const struct mml *mml) {
  uint64_t *const field = command->field;
  if ((mml->stride & 3) != 0)
    return command_illegal(command, FIELD_OF_REGISTER(context_register(command, MTIA_COMMAND_REGISTER_MML_STRIDE)));
  if (field[MTIA_MML_ADVANCE_FIELD] != 0) {
    const uint64_t offset = command->sticky[MTIA_COMMAND_REGISTER_MML_OFFSET - MTIA_COMMAND_REGISTER_MML_SHAPE];
    field[MTIA_MML_OFFSET_A_FIELD] = (uint32_t)(field[MTIA_MML_OFFSET_A_FIELD] + offset);
    field[MTIA_MML_OFFSET_B_FIELD] = (uint32_t)(field[MTIA_MML_OFFSET_B_FIELD] + (offset >> 32));
  }
  command_uses_accumulator(command, mml->accumulator);
  const struct first_operand first = first_operand_of(mml);
  return command_needs_block(pe, command, (uint32_t)field[MTIA_MML_CB_A_FIELD], SIDE_DATA, MTIA_MML_OFFSET_A_FIELD, first.rows,
                             first.row_bytes, mml->stride);
}

bool mml_place_first(struct pe *pe, struct command *command, const struct mml *mml, struct block *a) {
  const struct first_operand first = first_operand_of(mml);
  return command_place_block(pe, command, a, (uint32_t)command->field[MTIA_MML_CB_A_FIELD], SIDE_DATA,
                             MTIA_MML_OFFSET_A_FIELD, first.rows, first.row_bytes, mml->stride);
}

void mml_first_rows(const struct mml *mml, const struct block *a, uint32_t block, uint8_t rows[MATMUL_ROWS][WIDEST_K_BYTES],
                    const uint8_t *at[MATMUL_ROWS]) {
  const uint32_t bytes = data_type_bytes(mml->type), elements = mml->k_bytes / bytes;
  for (uint32_t row = 0; row < mml->m; row++)
    at[row] = mml->transpose_a ? rows[row] : block_row(a, row) + (uint64_t)block * mml->k_bytes;
  for (uint32_t k = 0; k < elements && mml->transpose_a; k++) {
    const uint8_t *const from = block_row(a, (uint64_t)block * elements + k);
    for (uint32_t row = 0; row < mml->m; row++) memcpy(rows[row] + k * bytes, from + row * bytes, bytes);
  }
}

/* ---- MML ---- */

bool mml_prepare(struct pe *pe, struct command *command) {
  const struct mml mml = mml_of(command);
  return mml_prepare_first(pe, command, &mml) &&
         command_needs_block(pe, command, (uint32_t)command->field[MTIA_MML_CB_B_FIELD], SIDE_DATA,
                             MTIA_MML_OFFSET_B_FIELD, mml.k_blocks * b_rows(&mml), MATMUL_B_ROW_BYTES,
                             MATMUL_B_ROW_BYTES);
}

matmul_function *mml_function_of(const struct pe *pe, uint64_t type) {
  return type == MTIA_TYPE_INT8 ? pe->matmul->int8 : type == MTIA_TYPE_FP16 ? pe->matmul->fp16 : pe->matmul->bf16;
}

/* Block by block: A is transposed, or B goes around the end of its buffer. */
static void multiply_in_blocks(union accumulator *accumulator, matmul_function *function, const struct mml *mml,
                               struct matmul_operands *operands, const struct block *a, const struct block *b) {
  uint8_t a_rows[MATMUL_ROWS][WIDEST_K_BYTES] __attribute__((aligned(64)));
  uint8_t rows[WIDEST_K_BYTES / 4 * MATMUL_B_ROW_BYTES] __attribute__((aligned(64)));
  const uint32_t rows_a_block = b_rows(mml);
  operands->b = rows;
  operands->blocks = 1;
  for (uint32_t block = 0; block < mml->k_blocks; block++) {
    mml_first_rows(mml, a, block, a_rows, operands->a);
    for (uint32_t row = 0; row < rows_a_block; row++)
      memcpy(rows + row * MATMUL_B_ROW_BYTES, block_row(b, (uint64_t)block * rows_a_block + row), MATMUL_B_ROW_BYTES);
    function(accumulator, operands);
  }
}

void mml_added(struct pe *pe, const struct mml *mml, uint64_t k_bytes) {
  const bool int8 = mml->type == MTIA_TYPE_INT8;
  pe->accumulator_states[mml->accumulator].content = int8 ? CONTENT_INT32 : CONTENT_FP32;
  pe->counters.matmul_multiplies += (uint64_t)mml->m * mml->n * (k_bytes / data_type_bytes(mml->type));
}

void mml_take_time(struct pe *pe, const struct mml *mml, const struct command *command, uint64_t steps, uint64_t a_bytes,
                   uint64_t b_bytes) {
  struct accumulator_state *const accumulator = &pe->accumulator_states[mml->accumulator];
  const uint64_t bytes = mml->transpose_a ? b_bytes : a_bytes + b_bytes;
  const uint64_t busy = later(steps * mml->n, cycles_of(bytes, pe->time.local_memory));
  uint64_t ready = command_operands_time(pe, command);
  if (mml->transpose_a) ready = mlu_stream(pe, ready, a_bytes);
  const uint64_t start = time_line_take(pe, LINE_DPE, later(ready, accumulator->ready), busy);
  const uint64_t done = start + busy + DPE_LATENCY;
  accumulator->sum_done = later(accumulator->sum_done, done);
  command_finish(pe, command, start, start + busy, done);
}

bool mml_execute(struct pe *pe, struct command *command) {
  const struct mml mml = mml_of(command);
  const uint64_t type = mml.type, number = mml.accumulator, k_bytes = (uint64_t)mml.k_bytes * mml.k_blocks;
  struct block a, b;
  if (!mml_place_first(pe, command, &mml, &a) ||
      !command_place_block(pe, command, &b, (uint32_t)command->field[MTIA_MML_CB_B_FIELD], SIDE_DATA,
                           MTIA_MML_OFFSET_B_FIELD, mml.k_blocks * b_rows(&mml), MATMUL_B_ROW_BYTES, MATMUL_B_ROW_BYTES))
    return false;
  struct matmul_operands operands = {.b = block_row(&b, 0), .m = mml.m, .n = mml.n, .k_bytes = mml.k_bytes,
                                     .blocks = mml.k_blocks};
  matmul_function *const function = mml_function_of(pe, type);
  if (b.contiguous && !mml.transpose_a) {
    for (uint32_t row = 0; row < mml.m; row++) operands.a[row] = block_row(&a, row);
    function(&pe->accumulators[number], &operands);
  } else {
    multiply_in_blocks(&pe->accumulators[number], function, &mml, &operands, &a, &b);
  }
  mml_added(pe, &mml, k_bytes);
  mml_take_time(pe, &mml, command, divide_up(mml.k_bytes, pe->time.dpe_k_bytes) * mml.k_blocks, mml.m * k_bytes,
                mml.n * k_bytes);
  return true;
}
