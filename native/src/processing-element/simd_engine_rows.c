/* SE_ROW_REDUCE: largest, smallest, largest magnitude or sum of each row. */
#include <string.h>
#include "numeric_format.h"
#include "simd_engine_commands.h"
#include "simd_engine_range.h"

/* Partial sums of a row: one for each of the elements that the engine takes in a cycle. */
#define SUM_LANES 32

bool se_row_reduce_prepare(struct pe *pe, struct command *command) {
  const struct se_shape shape = se_shape_of(command);
  const uint64_t *const field = command->field;
  if (!se_shape_is_legal(command, &shape)) return false;
  return command_needs_block(pe, command, (uint32_t)field[MTIA_SE_ROW_REDUCE_CB_SOURCE_FIELD], SIDE_DATA,
                             MTIA_SE_ROW_REDUCE_SOURCE_OFFSET_FIELD, shape.rows,
                             se_row_bytes(shape.elements, shape.first_step, field[MTIA_SE_ROW_REDUCE_TYPE_IN_FIELD]),
                             shape.first_stride) &&
         command_needs_block(pe, command, (uint32_t)field[MTIA_SE_ROW_REDUCE_CB_DESTINATION_FIELD], SIDE_SPACE,
                             MTIA_SE_ROW_REDUCE_DESTINATION_OFFSET_FIELD, shape.rows, sizeof(float),
                             shape.destination_stride);
}

static float range_of_row(const struct se_path *path, uint64_t type, uint64_t operation, const uint8_t *source,
                          const struct se_shape *shape, const float *merged) {
  float values[SE_CHUNK] __attribute__((aligned(64)));
  struct se_range range = SE_RANGE_OF_NOTHING;
  if (merged != NULL) se_range_extend(&range, merged, 1);
  for (uint64_t at = 0; at < shape->elements; at += SE_CHUNK) {
    const uint32_t count = se_chunk_at(shape, at);
    se_load(path, type, values, source, at, shape->first_step, count);
    path->range(&range, values, count);
  }
  return operation == MTIA_SE_ROW_OPERATION_MAXIMUM   ? se_range_maximum(&range)
         : operation == MTIA_SE_ROW_OPERATION_MINIMUM ? se_range_minimum(&range)
                                                      : se_range_magnitude(&range);
}

static float sum_of_row(const struct se_path *path, uint64_t type, const uint8_t *source, const struct se_shape *shape,
                        const float *merged) {
  float values[SE_CHUNK] __attribute__((aligned(64)));
  float partial[SUM_LANES] __attribute__((aligned(64))) = {0};
  for (uint64_t at = 0; at < shape->elements; at += SE_CHUNK) {
    const uint32_t count = se_chunk_at(shape, at);
    se_load(path, type, values, source, at, shape->first_step, count);
    for (uint32_t i = 0; i < count; i += SUM_LANES)
      path->operation[MTIA_SE_OPERATION_ADD](partial, values + i, count - i < SUM_LANES ? count - i : SUM_LANES);
  }
  for (uint32_t half = SUM_LANES / 2; half != 0; half /= 2)
    for (uint32_t i = 0; i < half; i++) partial[i] += partial[i + half];
  return merged == NULL ? partial[0] : *merged + partial[0];
}

static void reduce_rows(const struct pe *pe, const struct command *command, const struct se_shape *shape,
                        const struct block *source, const struct block *destination) {
  const uint64_t type = command->field[MTIA_SE_ROW_REDUCE_TYPE_IN_FIELD];
  const uint64_t operation = command->field[MTIA_SE_ROW_REDUCE_OPERATION_FIELD];
  const bool merge = command->field[MTIA_SE_ROW_REDUCE_MERGE_FIELD] != 0;
  for (uint64_t row = 0; row < shape->rows; row++) {
    const uint8_t *const from = block_row(source, row);
    uint8_t *const to = block_row(destination, row);
    float before;
    memcpy(&before, to, sizeof before);
    const float *const merged = merge ? &before : NULL;
    const float result = operation == MTIA_SE_ROW_OPERATION_SUM
                             ? sum_of_row(pe->se, type, from, shape, merged)
                             : range_of_row(pe->se, type, operation, from, shape, merged);
    pe->se->store[MTIA_TYPE_FP32](to, &result, 1);
  }
}

bool se_row_reduce_execute(struct pe *pe, struct command *command) {
  const struct se_shape shape = se_shape_of(command);
  const uint64_t *const field = command->field;
  const uint64_t type = field[MTIA_SE_ROW_REDUCE_TYPE_IN_FIELD], row_bytes = shape.elements * data_type_bytes(type);
  const uint32_t to = (uint32_t)field[MTIA_SE_ROW_REDUCE_CB_DESTINATION_FIELD];
  const bool merge = field[MTIA_SE_ROW_REDUCE_MERGE_FIELD] != 0;
  struct block source, destination;
  if (!command_place_block(pe, command, &source, (uint32_t)field[MTIA_SE_ROW_REDUCE_CB_SOURCE_FIELD], SIDE_DATA,
                           MTIA_SE_ROW_REDUCE_SOURCE_OFFSET_FIELD, shape.rows,
                           se_row_bytes(shape.elements, shape.first_step, type), shape.first_stride) ||
      !command_place_block(pe, command, &destination, to, SIDE_SPACE, MTIA_SE_ROW_REDUCE_DESTINATION_OFFSET_FIELD, shape.rows,
                           sizeof(float), shape.destination_stride))
    return false;
  reduce_rows(pe, command, &shape, &source, &destination);
  /* What lies at the destination is an operand too: what wrote it must have finished. */
  se_take_time(pe, command, merge ? pe->cp.buffers[to].write_done : 0, shape.rows * shape.elements,
               shape.rows * (row_bytes + (merge ? 2 : 1) * sizeof(float)));
  return true;
}
