/* SE_QUANTIZE: to INT8 with a scale. The way back is SE_DEQUANTIZE, a SE_UNARY with vectors, and REDUCE_DEQUANTIZE. */
#include <string.h>
#include "simd_engine_commands.h"

static uint64_t scale_bytes(const struct command *command, uint64_t rows) {
  return (command->field[MTIA_SE_QUANTIZE_PER_ROW_FIELD] != 0 ? rows : 1) * sizeof(float);
}

bool se_quantize_prepare(struct pe *pe, struct command *command) {
  const struct se_shape shape = se_shape_of(command);
  const uint64_t *const field = command->field;
  if (!se_shape_is_legal(command, &shape)) return false;
  const uint64_t scales = scale_bytes(command, shape.rows);
  return command_needs_block(pe, command, (uint32_t)field[MTIA_SE_QUANTIZE_CB_SOURCE_FIELD], SIDE_DATA,
                             MTIA_SE_QUANTIZE_SOURCE_OFFSET_FIELD, shape.rows,
                             se_row_bytes(shape.elements, shape.first_step, field[MTIA_SE_QUANTIZE_TYPE_IN_FIELD]),
                             shape.first_stride) &&
         command_needs_block(pe, command, (uint32_t)field[MTIA_SE_QUANTIZE_CB_SCALE_FIELD], SIDE_DATA,
                             MTIA_SE_QUANTIZE_SCALE_OFFSET_FIELD, 1, scales, scales) &&
         command_needs_block(pe, command, (uint32_t)field[MTIA_SE_QUANTIZE_CB_DESTINATION_FIELD], SIDE_SPACE,
                             MTIA_SE_QUANTIZE_DESTINATION_OFFSET_FIELD, shape.rows, shape.elements,
                             shape.destination_stride);
}

/* The range is symmetric: -128 has no counterpart and is never written. */
static void quantize_row(const struct se_path *path, uint64_t type, const uint8_t *source, uint8_t *destination, float scale,
                         const struct se_shape *shape) {
  float values[SE_CHUNK] __attribute__((aligned(64)));
  float factors[SE_CHUNK] __attribute__((aligned(64))), lowest[SE_CHUNK] __attribute__((aligned(64)));
  const float reciprocal = 1.0f / scale;
  const uint32_t widest = se_chunk_at(shape, 0);
  for (uint32_t i = 0; i < widest; i++) factors[i] = reciprocal, lowest[i] = -127.0f;
  for (uint64_t at = 0; at < shape->elements; at += SE_CHUNK) {
    const uint32_t count = se_chunk_at(shape, at);
    se_load(path, type, values, source, at, shape->first_step, count);
    path->operation[MTIA_SE_OPERATION_MULTIPLY](values, factors, count);
    path->operation[MTIA_SE_OPERATION_MAXIMUM](values, lowest, count);
    path->store[MTIA_TYPE_INT8](destination + at, values, count);
  }
}

bool se_quantize_execute(struct pe *pe, struct command *command) {
  const struct se_shape shape = se_shape_of(command);
  const uint64_t *const field = command->field, type = field[MTIA_SE_QUANTIZE_TYPE_IN_FIELD];
  const uint64_t row_bytes = shape.elements * data_type_bytes(type), scales = scale_bytes(command, shape.rows);
  struct block source, scale_block, destination;
  if (!command_place_block(pe, command, &source, (uint32_t)field[MTIA_SE_QUANTIZE_CB_SOURCE_FIELD], SIDE_DATA,
                           MTIA_SE_QUANTIZE_SOURCE_OFFSET_FIELD, shape.rows,
                           se_row_bytes(shape.elements, shape.first_step, type), shape.first_stride) ||
      !command_place_block(pe, command, &scale_block, (uint32_t)field[MTIA_SE_QUANTIZE_CB_SCALE_FIELD], SIDE_DATA,
                           MTIA_SE_QUANTIZE_SCALE_OFFSET_FIELD, 1, scales, scales) ||
      !command_place_block(pe, command, &destination, (uint32_t)field[MTIA_SE_QUANTIZE_CB_DESTINATION_FIELD], SIDE_SPACE,
                           MTIA_SE_QUANTIZE_DESTINATION_OFFSET_FIELD, shape.rows, shape.elements, shape.destination_stride))
    return false;
  const uint8_t *const scale_at = block_row(&scale_block, 0);
  for (uint64_t row = 0; row < shape.rows; row++) {
    float scale;
    memcpy(&scale, scale_at + (field[MTIA_SE_QUANTIZE_PER_ROW_FIELD] != 0 ? row * sizeof scale : 0), sizeof scale);
    quantize_row(pe->se, type, block_row(&source, row), block_row(&destination, row), scale, &shape);
  }
  se_take_time(pe, command, 0, shape.rows * shape.elements, shape.rows * (row_bytes + shape.elements) + scales);
  return true;
}
