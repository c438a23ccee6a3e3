/* The reduction engine: four accumulators, what they start from, and where they go. */
#include <string.h>
#include "numeric_format.h"
#include "simd_engine_commands.h"
#include "simd_engine_range.h"

/* Cycles; not published, assumed: a bank is cleared by its valid bits, a bias is one row for all. */
#define ACC_INIT_CYCLES 1
#define RE_LATENCY 16

/* ---- ACC_INIT ---- */

bool acc_init_prepare(struct pe *pe, struct command *command) {
  command_uses_accumulator(command, command->field[MTIA_ACC_INIT_ACCUMULATOR_FIELD]);
  if (command->field[MTIA_ACC_INIT_BIAS_FIELD] == 0) return true;
  const uint64_t cb = command->field[MTIA_ACC_INIT_CB_FIELD], n = command->field[MTIA_ACC_INIT_N_FIELD];
  if (cb >= MTIA_LIMIT_CIRCULAR_BUFFERS || (pe->cp.initialised >> cb & 1) == 0)
    return command_illegal(command, MTIA_ACC_INIT_CB_FIELD);
  if (n == 0 || n > MATMUL_COLUMNS) return command_illegal(command, MTIA_ACC_INIT_N_FIELD);
  return command_needs_block(pe, command, (uint32_t)cb, SIDE_DATA, MTIA_ACC_INIT_OFFSET_FIELD, 1, n * 4, n * 4);
}

bool acc_init_execute(struct pe *pe, struct command *command) {
  const uint64_t number = command->field[MTIA_ACC_INIT_ACCUMULATOR_FIELD], bytes = command->field[MTIA_ACC_INIT_N_FIELD] * 4;
  union accumulator *const accumulator = &pe->accumulators[number];
  struct accumulator_state *const state = &pe->accumulator_states[number];
  struct block bias;
  if (command->field[MTIA_ACC_INIT_BIAS_FIELD] != 0 &&
      !command_place_block(pe, command, &bias, (uint32_t)command->field[MTIA_ACC_INIT_CB_FIELD], SIDE_DATA,
                           MTIA_ACC_INIT_OFFSET_FIELD, 1, bytes, bytes))
    return false;
  memset(accumulator, 0, sizeof *accumulator);
  if (command->field[MTIA_ACC_INIT_BIAS_FIELD] != 0)
    for (uint32_t row = 0; row < MATMUL_ROWS; row++) memcpy(accumulator->int32[row], block_row(&bias, 0), bytes);
  state->content = CONTENT_ANY;
  const uint64_t ready = later(command_operands_time(pe, command), later(state->ready, state->sum_done));
  const uint64_t start = time_line_take(pe, LINE_RE, ready, ACC_INIT_CYCLES);
  state->ready = start + ACC_INIT_CYCLES;
  command_finish(pe, command, start, state->ready, state->ready);
  return true;
}

/* ---- REDUCE, and REDUCE_DEQUANTIZE, which has vectors besides ---- */

#define SAME_FIELD(name) \
  _Static_assert((int)MTIA_REDUCE_##name##_FIELD == (int)MTIA_REDUCE_DEQUANTIZE_##name##_FIELD, "one function prepares both")
SAME_FIELD(ACCUMULATOR);
SAME_FIELD(CB);
SAME_FIELD(FUNCTION);
SAME_FIELD(TYPE);
SAME_FIELD(OFFSET);
SAME_FIELD(ROWS);
SAME_FIELD(COLUMNS);
SAME_FIELD(STRIDE);

bool reduce_prepare(struct pe *pe, struct command *command) {
  const uint64_t function = command->field[MTIA_REDUCE_FUNCTION_FIELD], stride = command->field[MTIA_REDUCE_STRIDE_FIELD];
  const uint64_t row_bytes =
      command->field[MTIA_REDUCE_COLUMNS_FIELD] * data_type_bytes(command->field[MTIA_REDUCE_TYPE_FIELD]);
  if (stride < row_bytes) return command_illegal(command, MTIA_REDUCE_STRIDE_FIELD);
  command_uses_accumulator(command, command->field[MTIA_REDUCE_ACCUMULATOR_FIELD]);
  if (function >= MTIA_SE_TABLE_0) command_uses_table(command, function - MTIA_SE_TABLE_0);
  return command_needs_block(pe, command, (uint32_t)command->field[MTIA_REDUCE_CB_FIELD], SIDE_SPACE,
                             MTIA_REDUCE_OFFSET_FIELD, command->field[MTIA_REDUCE_ROWS_FIELD], row_bytes, stride) &&
         se_vectors_prepare(pe, command, command->field[MTIA_REDUCE_ROWS_FIELD], command->field[MTIA_REDUCE_COLUMNS_FIELD]);
}

/* What can be said only when the command runs: what the accumulator holds, and whether the table is there. */
static bool is_legal_now(const struct pe *pe, struct command *command) {
  const uint64_t function = command->field[MTIA_REDUCE_FUNCTION_FIELD];
  if (function >= MTIA_SE_TABLE_0 && pe->tables[function - MTIA_SE_TABLE_0].segments == 0)
    return command_illegal(command, MTIA_REDUCE_FUNCTION_FIELD);
  if (command->field[MTIA_REDUCE_TYPE_FIELD] == MTIA_TYPE_INT32 &&
      pe->accumulator_states[command->field[MTIA_REDUCE_ACCUMULATOR_FIELD]].content == CONTENT_FP32)
    return command_illegal(command, MTIA_REDUCE_TYPE_FIELD);
  return true;
}

/* INT32 stays INT32 where no table is asked for. */
static void reduce_exactly(const union accumulator *accumulator, const struct command *command, const struct block *block) {
  const uint64_t rows = command->field[MTIA_REDUCE_ROWS_FIELD], columns = command->field[MTIA_REDUCE_COLUMNS_FIELD];
  const bool relu = command->field[MTIA_REDUCE_FUNCTION_FIELD] == MTIA_SE_RELU;
  for (uint64_t row = 0; row < rows; row++) {
    int32_t values[MATMUL_COLUMNS];
    for (uint64_t n = 0; n < columns; n++) {
      const int32_t value = accumulator->int32[row][n];
      values[n] = relu && value < 0 ? 0 : value;
    }
    memcpy(block_row(block, row), values, columns * sizeof values[0]);
  }
}

/* Several rows at a time pass through the function, which is fastest on long runs. */
static void reduce_values(const struct pe *pe, const struct command *command, const struct se_vectors *vectors,
                          const struct block *block) {
  const uint64_t number = command->field[MTIA_REDUCE_ACCUMULATOR_FIELD], type = command->field[MTIA_REDUCE_TYPE_FIELD];
  const uint32_t rows = (uint32_t)command->field[MTIA_REDUCE_ROWS_FIELD];
  const uint32_t columns = (uint32_t)command->field[MTIA_REDUCE_COLUMNS_FIELD];
  const union accumulator *const accumulator = &pe->accumulators[number];
  const bool integers = pe->accumulator_states[number].content == CONTENT_INT32 || type == MTIA_TYPE_INT32;
  const uint32_t rows_at_once = SE_CHUNK / MATMUL_COLUMNS;
  float values[SE_CHUNK / MATMUL_COLUMNS][MATMUL_COLUMNS] __attribute__((aligned(64)));
  for (uint32_t first = 0; first < rows; first += rows_at_once) {
    const uint32_t count = rows - first < rows_at_once ? rows - first : rows_at_once;
    pe->se->load[integers ? MTIA_TYPE_INT32 : MTIA_TYPE_FP32](values[0], (const uint8_t *)accumulator->int32[first],
                                                              count * MATMUL_COLUMNS);
    se_vectors_apply(pe->se, vectors, values[0], first, count, 0, columns, MATMUL_COLUMNS);
    se_apply(pe->se, (uint32_t)command->field[MTIA_REDUCE_FUNCTION_FIELD], pe->tables, values[0], count * MATMUL_COLUMNS);
    for (uint32_t row = 0; row < count; row++)
      pe->se->store[type](block_row(block, first + row), values[row], columns);
  }
}

/* The values stream through the SIMD engine: both are busy. */
static void take_time(struct pe *pe, const struct command *command, uint64_t bytes) {
  struct accumulator_state *const state = &pe->accumulator_states[command->field[MTIA_REDUCE_ACCUMULATOR_FIELD]];
  const uint64_t function = command->field[MTIA_REDUCE_FUNCTION_FIELD];
  const uint64_t elements = command->field[MTIA_REDUCE_ROWS_FIELD] * command->field[MTIA_REDUCE_COLUMNS_FIELD];
  const uint64_t busy = later(divide_up(elements, pe->time.se_elements), cycles_of(bytes, pe->time.local_memory));
  uint64_t ready = later(command_operands_time(pe, command), later(state->ready, state->sum_done));
  if (function >= MTIA_SE_TABLE_0) ready = later(ready, pe->tables[function - MTIA_SE_TABLE_0].ready);
  const uint64_t start = time_line_take(pe, LINE_RE, later(ready, pe->time.free[LINE_SE]), busy);
  time_line_take(pe, LINE_SE, start, busy);
  state->ready = start + busy;
  command_finish(pe, command, start, start + busy, start + busy + RE_LATENCY);
}

bool reduce_execute(struct pe *pe, struct command *command) {
  const uint64_t rows = command->field[MTIA_REDUCE_ROWS_FIELD], type = command->field[MTIA_REDUCE_TYPE_FIELD];
  const uint64_t columns = command->field[MTIA_REDUCE_COLUMNS_FIELD], row_bytes = columns * data_type_bytes(type);
  struct se_vectors vectors;
  struct block block;
  if (!is_legal_now(pe, command) ||
      !command_place_block(pe, command, &block, (uint32_t)command->field[MTIA_REDUCE_CB_FIELD], SIDE_SPACE,
                           MTIA_REDUCE_OFFSET_FIELD, rows, row_bytes, command->field[MTIA_REDUCE_STRIDE_FIELD]) ||
      !se_vectors_place(pe, command, rows, columns, &vectors))
    return false;
  if (type == MTIA_TYPE_INT32 && command->field[MTIA_REDUCE_FUNCTION_FIELD] < MTIA_SE_TABLE_0)
    reduce_exactly(&pe->accumulators[command->field[MTIA_REDUCE_ACCUMULATOR_FIELD]], command, &block);
  else
    reduce_values(pe, command, &vectors, &block);
  take_time(pe, command, rows * row_bytes + se_vectors_bytes(&vectors, rows, columns));
  return true;
}

/* ---- RE_ROW_RANGE ---- */

/* Minimum and maximum. */
#define RANGE_BYTES (2 * sizeof(float))

bool re_row_range_prepare(struct pe *pe, struct command *command) {
  command_uses_accumulator(command, command->field[MTIA_RE_ROW_RANGE_ACCUMULATOR_FIELD]);
  return command_needs_block(pe, command, (uint32_t)command->field[MTIA_RE_ROW_RANGE_CB_FIELD], SIDE_SPACE,
                             MTIA_RE_ROW_RANGE_OFFSET_FIELD, command->field[MTIA_RE_ROW_RANGE_ROWS_FIELD], RANGE_BYTES,
                             command->field[MTIA_RE_ROW_RANGE_STRIDE_FIELD]);
}

static void row_range(const struct pe *pe, const struct command *command, uint64_t row, uint8_t *destination) {
  const uint64_t number = command->field[MTIA_RE_ROW_RANGE_ACCUMULATOR_FIELD];
  const uint32_t columns = (uint32_t)command->field[MTIA_RE_ROW_RANGE_COLUMNS_FIELD];
  const bool integers = pe->accumulator_states[number].content == CONTENT_INT32;
  struct se_range range = SE_RANGE_OF_NOTHING;
  float values[MATMUL_COLUMNS] __attribute__((aligned(64))), result[2];
  if (command->field[MTIA_RE_ROW_RANGE_MERGE_FIELD] != 0) {
    memcpy(result, destination, sizeof result);
    se_range_extend(&range, result, 2);
  }
  pe->se->load[integers ? MTIA_TYPE_INT32 : MTIA_TYPE_FP32](values, (const uint8_t *)pe->accumulators[number].int32[row],
                                                            columns);
  pe->se->range(&range, values, columns);
  result[0] = se_range_minimum(&range);
  result[1] = se_range_maximum(&range);
  memcpy(destination, result, sizeof result);
}

bool re_row_range_execute(struct pe *pe, struct command *command) {
  const uint64_t rows = command->field[MTIA_RE_ROW_RANGE_ROWS_FIELD], columns = command->field[MTIA_RE_ROW_RANGE_COLUMNS_FIELD];
  const uint32_t cb = (uint32_t)command->field[MTIA_RE_ROW_RANGE_CB_FIELD];
  const bool merge = command->field[MTIA_RE_ROW_RANGE_MERGE_FIELD] != 0;
  struct accumulator_state *const state = &pe->accumulator_states[command->field[MTIA_RE_ROW_RANGE_ACCUMULATOR_FIELD]];
  struct block block;
  if (!command_place_block(pe, command, &block, cb, SIDE_SPACE, MTIA_RE_ROW_RANGE_OFFSET_FIELD, rows, RANGE_BYTES,
                           command->field[MTIA_RE_ROW_RANGE_STRIDE_FIELD]))
    return false;
  for (uint64_t row = 0; row < rows; row++) row_range(pe, command, row, block_row(&block, row));
  const uint64_t bytes = rows * RANGE_BYTES * (merge ? 2 : 1);
  const uint64_t busy = later(divide_up(rows * columns, pe->time.se_elements), cycles_of(bytes, pe->time.local_memory));
  uint64_t ready = later(command_operands_time(pe, command), later(state->ready, state->sum_done));
  if (merge) ready = later(ready, pe->cp.buffers[cb].write_done);
  const uint64_t start = time_line_take(pe, LINE_RE, ready, busy);
  state->ready = start + busy;
  command_finish(pe, command, start, start + busy, start + busy + RE_LATENCY);
  return true;
}
