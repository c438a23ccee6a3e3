/* Scales and biases of rows and columns: operands that command registers name. */
#include <string.h>
#include "simd_engine_commands.h"

struct vector_operand {
  bool used;
  uint32_t cb;
  uint64_t offset;
};

static struct vector_operand operand_of(const struct command *command, uint32_t vector) {
  const uint64_t word = command->sticky[command->description->register_count + vector];
  return (struct vector_operand){.used = word & 1, .cb = word >> 8 & 0xff, .offset = word >> 32};
}

static bool illegal(struct command *command, uint32_t vector) {
  return command_illegal_sticky(command, command->description->register_count + vector);
}

static uint64_t bytes_of(uint32_t vector, uint64_t rows, uint64_t columns) {
  return (vector == VECTOR_ROW_SCALE ? rows : columns) * sizeof(float);
}

bool se_vectors_prepare(struct pe *pe, struct command *command, uint64_t rows, uint64_t columns) {
  for (uint32_t vector = 0; vector < command->description->second_count; vector++) {
    const struct vector_operand operand = operand_of(command, vector);
    if (!operand.used) continue;
    const uint64_t extent = operand.offset + bytes_of(vector, rows, columns);
    if (operand.cb >= MTIA_LIMIT_CIRCULAR_BUFFERS || (pe->cp.initialised >> operand.cb & 1) == 0 ||
        extent > pe->cp.buffers[operand.cb].bytes)
      return illegal(command, vector);
    command_needs_bytes(command, operand.cb, SIDE_DATA, (uint32_t)extent);
  }
  return true;
}

bool se_vectors_place(struct pe *pe, struct command *command, uint64_t rows, uint64_t columns, struct se_vectors *vectors) {
  *vectors = (struct se_vectors){{NULL, NULL, NULL}};
  for (uint32_t vector = 0; vector < command->description->second_count; vector++) {
    const struct vector_operand operand = operand_of(command, vector);
    const uint64_t bytes = bytes_of(vector, rows, columns);
    struct block block;
    if (!operand.used) continue;
    if (!block_place(&block, &pe->cp.buffers[operand.cb], pe->local_memory, SIDE_DATA, operand.offset, 1, bytes, bytes))
      return illegal(command, vector);
    vectors->at[vector] = block_row(&block, 0);
  }
  return true;
}

uint64_t se_vectors_bytes(const struct se_vectors *vectors, uint64_t rows, uint64_t columns) {
  uint64_t bytes = 0;
  for (uint32_t vector = 0; vector < SE_VECTORS; vector++)
    if (vectors->at[vector] != NULL) bytes += bytes_of(vector, rows, columns);
  return bytes;
}

/* Part of a vector of columns, aligned as the path wants it; NULL: not used. */
static const float *columns_of(float *aligned, const uint8_t *source, uint64_t column, uint32_t columns) {
  if (source == NULL) return NULL;
  memcpy(aligned, source + column * sizeof *aligned, columns * sizeof *aligned);
  return aligned;
}

void se_vectors_apply(const struct se_path *path, const struct se_vectors *vectors, float *values, uint64_t row, uint32_t rows,
                      uint64_t column, uint32_t columns, uint32_t pitch) {
  const uint8_t *const *const at = vectors->at;
  if (at[VECTOR_ROW_SCALE] == NULL && at[VECTOR_COLUMN_SCALE] == NULL && at[VECTOR_COLUMN_BIAS] == NULL) return;
  float scale[SE_CHUNK] __attribute__((aligned(64))), bias[SE_CHUNK] __attribute__((aligned(64)));
  const struct se_factors factors = {
      .row_scale = at[VECTOR_ROW_SCALE] == NULL ? NULL : at[VECTOR_ROW_SCALE] + row * sizeof(float),
      .column_scale = columns_of(scale, at[VECTOR_COLUMN_SCALE], column, columns),
      .column_bias = columns_of(bias, at[VECTOR_COLUMN_BIAS], column, columns)};
  path->scale(&factors, values, rows, columns, pitch);
}
