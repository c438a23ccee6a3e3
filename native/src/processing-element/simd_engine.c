/* The SIMD engine: its commands. */
#include "simd_engine_commands.h"
#include <string.h>
#include "numeric_format.h"

/* From the first element in to the first element out. Assumed: not published. */
#define SE_LATENCY 16

void se_apply(const struct se_path *path, uint32_t function, const struct se_table *tables, float *values, uint32_t count) {
  if (function == MTIA_SE_RELU) path->relu(values, count);
  if (function >= MTIA_SE_TABLE_0) path->table(values, count, &tables[function - MTIA_SE_TABLE_0]);
}

void se_take_time(struct pe *pe, const struct command *command, uint64_t ready, uint64_t elements, uint64_t bytes) {
  const uint64_t busy = later(divide_up(elements, pe->time.se_elements), cycles_of(bytes, pe->time.local_memory));
  const uint64_t start = time_line_take(pe, LINE_SE, later(command_operands_time(pe, command), ready), busy);
  command_finish(pe, command, start, start + busy, start + busy + SE_LATENCY);
}

/* ---- SE_LOAD_TABLE ---- */

bool se_table_load(struct se_table *table, const uint8_t *source, uint32_t bytes) {
  struct mtia_se_table head;
  memcpy(&head, source, sizeof head);
  if (head.segments < 1 || head.segments > 240 || (head.degree != 1 && head.degree != 3)) return false;
  const uint32_t coefficient_bytes = head.segments * (head.degree + 1) * 4;
  if (sizeof head + coefficient_bytes > bytes) return false;
  *table = (struct se_table){.low = fp32_of_bits(head.low),
                             .high = fp32_of_bits(head.high),
                             .scale = fp32_of_bits(head.scale),
                             .below = fp32_of_bits(head.below),
                             .above = fp32_of_bits(head.above),
                             .segments = (int32_t)head.segments,
                             .degree = (int32_t)head.degree};
  memcpy(table->coefficients, source + sizeof head, coefficient_bytes);
  return true;
}

bool se_load_table_prepare(struct pe *pe, struct command *command) {
  const uint64_t address = command->field[MTIA_SE_LOAD_TABLE_ADDRESS_FIELD];
  if (address >= pe->local_bytes) return command_illegal(command, MTIA_SE_LOAD_TABLE_ADDRESS_FIELD);
  if (address + command->field[MTIA_SE_LOAD_TABLE_BYTES_FIELD] > pe->local_bytes)
    return command_illegal(command, MTIA_SE_LOAD_TABLE_BYTES_FIELD);
  command_uses_table(command, command->field[MTIA_SE_LOAD_TABLE_SLOT_FIELD]);
  return true;
}

bool se_load_table_execute(struct pe *pe, struct command *command) {
  const uint64_t bytes = command->field[MTIA_SE_LOAD_TABLE_BYTES_FIELD];
  struct se_table *const table = &pe->tables[command->field[MTIA_SE_LOAD_TABLE_SLOT_FIELD]];
  if (!se_table_load(table, pe->local_memory + command->field[MTIA_SE_LOAD_TABLE_ADDRESS_FIELD], (uint32_t)bytes))
    return command_illegal(command, MTIA_SE_LOAD_TABLE_BYTES_FIELD);
  se_take_time(pe, command, 0, bytes / 4, bytes);
  table->ready = pe->time.free[LINE_SE];
  return true;
}

static void pack(uint8_t *to, const uint8_t *from, uint64_t step_bytes, uint32_t bytes, uint32_t count) {
  for (uint32_t i = 0; i < count; i++, to += bytes, from += step_bytes) memcpy(to, from, bytes);
}

void se_load(const struct se_path *path, uint64_t type, float *values, const uint8_t *row, uint64_t at, uint64_t step,
             uint32_t count) {
  const uint32_t bytes = data_type_bytes(type);
  const uint8_t *const from = row + at * step * bytes;
  if (step == 1) {
    path->load[type](values, from, count);
    return;
  }
  uint8_t packed[SE_CHUNK * sizeof(float)] __attribute__((aligned(64)));
  pack(packed, from, step * bytes, bytes, count);
  path->load[type](values, packed, count);
}

/* Rows without gaps on every side are one long row. */
static void join_rows(struct se_shape *shape, const struct block *blocks, const uint64_t *row_bytes, uint32_t count) {
  if (shape->first_step != 1 || shape->second_step != 1) return;
  for (uint32_t i = 0; i < count; i++)
    if (!blocks[i].contiguous || blocks[i].stride != row_bytes[i]) return;
  shape->elements *= shape->rows;
  shape->rows = 1;
}

/* ---- SE_UNARY, and SE_DEQUANTIZE, which has vectors besides ---- */

#define SAME_FIELD(name) \
  _Static_assert((int)MTIA_SE_UNARY_##name##_FIELD == (int)MTIA_SE_DEQUANTIZE_##name##_FIELD, "one function prepares both")
SAME_FIELD(CB_SOURCE);
SAME_FIELD(CB_DESTINATION);
SAME_FIELD(FUNCTION);
SAME_FIELD(TYPE_IN);
SAME_FIELD(TYPE_OUT);
SAME_FIELD(SOURCE_OFFSET);
SAME_FIELD(DESTINATION_OFFSET);

bool se_unary_prepare(struct pe *pe, struct command *command) {
  const struct se_shape shape = se_shape_of(command);
  const uint64_t *const field = command->field, function = field[MTIA_SE_UNARY_FUNCTION_FIELD];
  if (!se_shape_is_legal(command, &shape)) return false;
  if (function >= MTIA_SE_TABLE_0) command_uses_table(command, function - MTIA_SE_TABLE_0);
  return command_needs_block(pe, command, (uint32_t)field[MTIA_SE_UNARY_CB_SOURCE_FIELD], SIDE_DATA,
                             MTIA_SE_UNARY_SOURCE_OFFSET_FIELD, shape.rows,
                             se_row_bytes(shape.elements, shape.first_step, field[MTIA_SE_UNARY_TYPE_IN_FIELD]),
                             shape.first_stride) &&
         command_needs_block(pe, command, (uint32_t)field[MTIA_SE_UNARY_CB_DESTINATION_FIELD], SIDE_SPACE,
                             MTIA_SE_UNARY_DESTINATION_OFFSET_FIELD, shape.rows,
                             shape.elements * data_type_bytes(field[MTIA_SE_UNARY_TYPE_OUT_FIELD]),
                             shape.destination_stride) &&
         se_vectors_prepare(pe, command, shape.rows, shape.elements);
}

/* INT32 to INT32 without a table never becomes FP32, which could not hold it. */
static void unary_exactly(const struct se_shape *shape, bool relu, const struct block *source, const struct block *destination) {
  for (uint64_t row = 0; row < shape->rows; row++) {
    const uint8_t *const from = block_row(source, row);
    uint8_t *const to = block_row(destination, row);
    for (uint64_t i = 0; i < shape->elements; i++) {
      int32_t value;
      memcpy(&value, from + i * shape->first_step * 4, sizeof value);
      if (relu && value < 0) value = 0;
      memcpy(to + i * 4, &value, sizeof value);
    }
  }
}

static void unary_values(const struct pe *pe, const struct command *command, const struct se_shape *shape,
                         const struct se_vectors *vectors, const struct block *source, const struct block *destination) {
  const uint64_t in = command->field[MTIA_SE_UNARY_TYPE_IN_FIELD], out = command->field[MTIA_SE_UNARY_TYPE_OUT_FIELD];
  const uint32_t out_bytes = data_type_bytes(out);
  float values[SE_CHUNK] __attribute__((aligned(64)));
  for (uint64_t row = 0; row < shape->rows; row++)
    for (uint64_t at = 0; at < shape->elements; at += SE_CHUNK) {
      const uint32_t count = se_chunk_at(shape, at);
      se_load(pe->se, in, values, block_row(source, row), at, shape->first_step, count);
      se_vectors_apply(pe->se, vectors, values, row, 1, at, count, count);
      se_apply(pe->se, (uint32_t)command->field[MTIA_SE_UNARY_FUNCTION_FIELD], pe->tables, values, count);
      pe->se->store[out](block_row(destination, row) + at * out_bytes, values, count);
    }
}

bool se_unary_execute(struct pe *pe, struct command *command) {
  struct se_shape shape = se_shape_of(command);
  const uint64_t *const field = command->field, function = field[MTIA_SE_UNARY_FUNCTION_FIELD];
  const uint64_t in = field[MTIA_SE_UNARY_TYPE_IN_FIELD], out = field[MTIA_SE_UNARY_TYPE_OUT_FIELD];
  const uint64_t row_bytes[2] = {se_row_bytes(shape.elements, shape.first_step, in), shape.elements * data_type_bytes(out)};
  const uint64_t elements = shape.rows * shape.elements, columns = shape.elements;
  struct block blocks[2];
  struct se_vectors vectors;
  const struct se_table *const table = function >= MTIA_SE_TABLE_0 ? &pe->tables[function - MTIA_SE_TABLE_0] : NULL;
  if (table != NULL && table->segments == 0) return command_illegal(command, MTIA_SE_UNARY_FUNCTION_FIELD);
  if (!command_place_block(pe, command, &blocks[0], (uint32_t)field[MTIA_SE_UNARY_CB_SOURCE_FIELD], SIDE_DATA,
                           MTIA_SE_UNARY_SOURCE_OFFSET_FIELD, shape.rows, row_bytes[0], shape.first_stride) ||
      !command_place_block(pe, command, &blocks[1], (uint32_t)field[MTIA_SE_UNARY_CB_DESTINATION_FIELD], SIDE_SPACE,
                           MTIA_SE_UNARY_DESTINATION_OFFSET_FIELD, shape.rows, row_bytes[1], shape.destination_stride) ||
      !se_vectors_place(pe, command, shape.rows, columns, &vectors))
    return false;
  const uint64_t vector_bytes = se_vectors_bytes(&vectors, shape.rows, columns);
  if (vector_bytes == 0) join_rows(&shape, blocks, row_bytes, 2);
  if (in == MTIA_TYPE_INT32 && out == MTIA_TYPE_INT32 && table == NULL)
    unary_exactly(&shape, function == MTIA_SE_RELU, &blocks[0], &blocks[1]);
  else
    unary_values(pe, command, &shape, &vectors, &blocks[0], &blocks[1]);
  se_take_time(pe, command, table != NULL ? table->ready : 0, elements,
               elements * (data_type_bytes(in) + data_type_bytes(out)) + vector_bytes);
  return true;
}

/* ---- SE_BINARY ---- */

/* The three operands in the order of their blocks. */
struct operand { uint8_t cb_field, offset_field, side; };
static const struct operand binary_operands[3] = {
    {MTIA_SE_BINARY_CB_FIRST_FIELD, MTIA_SE_BINARY_FIRST_OFFSET_FIELD, SIDE_DATA},
    {MTIA_SE_BINARY_CB_SECOND_FIELD, MTIA_SE_BINARY_SECOND_OFFSET_FIELD, SIDE_DATA},
    {MTIA_SE_BINARY_CB_DESTINATION_FIELD, MTIA_SE_BINARY_DESTINATION_OFFSET_FIELD, SIDE_SPACE},
};

static void binary_geometry(const struct command *command, const struct se_shape *shape, uint64_t strides[3],
                            uint64_t row_bytes[3]) {
  const uint64_t in = command->field[MTIA_SE_BINARY_TYPE_IN_FIELD];
  const bool per_row = command->field[MTIA_SE_BINARY_PER_ROW_FIELD] != 0;
  strides[0] = shape->first_stride;
  strides[1] = shape->second_stride;
  strides[2] = shape->destination_stride;
  row_bytes[0] = se_row_bytes(shape->elements, shape->first_step, in);
  row_bytes[1] = se_row_bytes(per_row ? 1 : shape->elements, shape->second_step, in);
  row_bytes[2] = shape->elements * data_type_bytes(command->field[MTIA_SE_BINARY_TYPE_OUT_FIELD]);
}

bool se_binary_prepare(struct pe *pe, struct command *command) {
  const struct se_shape shape = se_shape_of(command);
  uint64_t strides[3], row_bytes[3];
  if (!se_shape_is_legal(command, &shape)) return false;
  binary_geometry(command, &shape, strides, row_bytes);
  for (uint32_t i = 0; i < 3; i++) {
    const struct operand *const operand = &binary_operands[i];
    if (!command_needs_block(pe, command, (uint32_t)command->field[operand->cb_field], operand->side,
                             operand->offset_field, shape.rows, row_bytes[i], strides[i]))
      return false;
  }
  return true;
}

static void binary_values(const struct pe *pe, const struct command *command, const struct se_shape *shape,
                          const struct block blocks[3]) {
  const uint64_t in = command->field[MTIA_SE_BINARY_TYPE_IN_FIELD], out = command->field[MTIA_SE_BINARY_TYPE_OUT_FIELD];
  const uint64_t operation = command->field[MTIA_SE_BINARY_OPERATION_FIELD];
  const bool per_row = command->field[MTIA_SE_BINARY_PER_ROW_FIELD] != 0;
  const uint32_t out_bytes = data_type_bytes(out);
  float first[SE_CHUNK] __attribute__((aligned(64))), second[SE_CHUNK] __attribute__((aligned(64)));
  for (uint64_t row = 0; row < shape->rows; row++) {
    if (per_row) {
      pe->se->load[in](second, block_row(&blocks[1], row), 1);
      for (uint32_t i = 1; i < SE_CHUNK; i++) second[i] = second[0];
    }
    for (uint64_t at = 0; at < shape->elements; at += SE_CHUNK) {
      const uint32_t count = se_chunk_at(shape, at);
      se_load(pe->se, in, first, block_row(&blocks[0], row), at, shape->first_step, count);
      if (!per_row) se_load(pe->se, in, second, block_row(&blocks[1], row), at, shape->second_step, count);
      pe->se->operation[operation](first, second, count);
      pe->se->store[out](block_row(&blocks[2], row) + at * out_bytes, first, count);
    }
  }
}

bool se_binary_execute(struct pe *pe, struct command *command) {
  struct se_shape shape = se_shape_of(command);
  const uint64_t elements = shape.rows * shape.elements;
  const uint64_t in = data_type_bytes(command->field[MTIA_SE_BINARY_TYPE_IN_FIELD]);
  const uint64_t out = data_type_bytes(command->field[MTIA_SE_BINARY_TYPE_OUT_FIELD]);
  const bool per_row = command->field[MTIA_SE_BINARY_PER_ROW_FIELD] != 0;
  uint64_t strides[3], row_bytes[3];
  struct block blocks[3];
  binary_geometry(command, &shape, strides, row_bytes);
  for (uint32_t i = 0; i < 3; i++) {
    const struct operand *const operand = &binary_operands[i];
    if (!command_place_block(pe, command, &blocks[i], (uint32_t)command->field[operand->cb_field], operand->side,
                             operand->offset_field, shape.rows, row_bytes[i], strides[i]))
      return false;
  }
  if (!per_row) join_rows(&shape, blocks, row_bytes, 3);
  binary_values(pe, command, &shape, blocks);
  se_take_time(pe, command, 0, elements, elements * (in + out) + (per_row ? shape.rows : elements) * in);
  return true;
}

/* ---- SE_ROW_ACCUMULATE ---- */

bool se_row_accumulate_prepare(struct pe *pe, struct command *command) {
  const struct se_shape shape = se_shape_of(command);
  const uint64_t *const field = command->field, out = field[MTIA_SE_ROW_ACCUMULATE_TYPE_OUT_FIELD];
  const uint64_t out_bytes = shape.elements * data_type_bytes(out);
  if (field[MTIA_SE_ROW_ACCUMULATE_ACCUMULATE_FIELD] != 0 && out != MTIA_TYPE_FP32)
    return command_illegal(command, MTIA_SE_ROW_ACCUMULATE_ACCUMULATE_FIELD);
  if (!se_shape_is_legal(command, &shape)) return false;
  return command_needs_block(pe, command, (uint32_t)field[MTIA_SE_ROW_ACCUMULATE_CB_SOURCE_FIELD], SIDE_DATA,
                             MTIA_SE_ROW_ACCUMULATE_SOURCE_OFFSET_FIELD, shape.rows,
                             se_row_bytes(shape.elements, shape.first_step, field[MTIA_SE_ROW_ACCUMULATE_TYPE_IN_FIELD]),
                             shape.first_stride) &&
         command_needs_block(pe, command, (uint32_t)field[MTIA_SE_ROW_ACCUMULATE_CB_DESTINATION_FIELD], SIDE_SPACE,
                             MTIA_SE_ROW_ACCUMULATE_DESTINATION_OFFSET_FIELD, 1, out_bytes, out_bytes);
}

static void sum_rows(const struct pe *pe, const struct command *command, const struct se_shape *shape,
                     const struct block *source, uint8_t *destination) {
  const uint64_t in = command->field[MTIA_SE_ROW_ACCUMULATE_TYPE_IN_FIELD];
  const uint64_t out = command->field[MTIA_SE_ROW_ACCUMULATE_TYPE_OUT_FIELD];
  const bool accumulate = command->field[MTIA_SE_ROW_ACCUMULATE_ACCUMULATE_FIELD] != 0;
  const uint32_t in_bytes = data_type_bytes(in), out_bytes = data_type_bytes(out);
  const bool side_by_side = shape->first_step == 1;
  float sum[SE_CHUNK] __attribute__((aligned(64))), values[SE_CHUNK] __attribute__((aligned(64)));
  for (uint64_t at = 0; at < shape->elements; at += SE_CHUNK) {
    const uint32_t count = se_chunk_at(shape, at);
    if (accumulate)
      pe->se->load[MTIA_TYPE_FP32](sum, destination + at * 4, count);
    else
      se_load(pe->se, in, sum, block_row(source, 0), at, shape->first_step, count);
    for (uint64_t row = accumulate ? 0 : 1; row < shape->rows && side_by_side; row++)
      pe->se->accumulate[in](sum, block_row(source, row) + at * in_bytes, count);
    for (uint64_t row = accumulate ? 0 : 1; row < shape->rows && !side_by_side; row++) {
      se_load(pe->se, in, values, block_row(source, row), at, shape->first_step, count);
      pe->se->operation[MTIA_SE_OPERATION_ADD](sum, values, count);
    }
    pe->se->store[out](destination + at * out_bytes, sum, count);
  }
}

bool se_row_accumulate_execute(struct pe *pe, struct command *command) {
  const struct se_shape shape = se_shape_of(command);
  const uint64_t *const field = command->field;
  const uint64_t in = field[MTIA_SE_ROW_ACCUMULATE_TYPE_IN_FIELD];
  const uint64_t out_bytes = shape.elements * data_type_bytes(field[MTIA_SE_ROW_ACCUMULATE_TYPE_OUT_FIELD]);
  const uint32_t to = (uint32_t)field[MTIA_SE_ROW_ACCUMULATE_CB_DESTINATION_FIELD];
  const bool accumulate = field[MTIA_SE_ROW_ACCUMULATE_ACCUMULATE_FIELD] != 0;
  struct block source, destination;
  if (!command_place_block(pe, command, &source, (uint32_t)field[MTIA_SE_ROW_ACCUMULATE_CB_SOURCE_FIELD], SIDE_DATA,
                           MTIA_SE_ROW_ACCUMULATE_SOURCE_OFFSET_FIELD, shape.rows,
                           se_row_bytes(shape.elements, shape.first_step, in), shape.first_stride) ||
      !command_place_block(pe, command, &destination, to, SIDE_SPACE, MTIA_SE_ROW_ACCUMULATE_DESTINATION_OFFSET_FIELD, 1,
                           out_bytes, out_bytes))
    return false;
  sum_rows(pe, command, &shape, &source, block_row(&destination, 0));
  /* The destination row is an operand too: what wrote it must have finished. */
  se_take_time(pe, command, accumulate ? pe->cp.buffers[to].write_done : 0, shape.rows * shape.elements,
               shape.rows * shape.elements * data_type_bytes(in) + out_bytes * (accumulate ? 2 : 1));
  return true;
}
