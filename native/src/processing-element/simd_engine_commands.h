/* What the commands of the SIMD engine share, those of the reduction engine that use its arithmetic too. */
#ifndef MTIA_SIMD_ENGINE_COMMANDS_H
#define MTIA_SIMD_ENGINE_COMMANDS_H
#include "pe_internal.h"

/* SE_SHAPE and the strides: the first three command registers of a command. */
struct se_shape {
  uint64_t rows, elements, first_stride, second_stride, destination_stride;
  uint64_t first_step, second_step; /* from element to element of a source; 1: they lie side by side */
};

static inline struct se_shape se_shape_of(const struct command *command) {
  return (struct se_shape){.rows = command->sticky[0] & 0xffff,
                           .elements = command->sticky[0] >> 16 & 0xffff,
                           .first_stride = command->sticky[1] & 0xffffffffu,
                           .second_stride = command->sticky[1] >> 32,
                           .destination_stride = command->sticky[2],
                           .first_step = (command->sticky[0] >> 32 & 0xff) + 1,
                           .second_step = (command->sticky[0] >> 40 & 0xff) + 1};
}

/* From the first byte of a row to its last. */
static inline uint64_t se_row_bytes(uint64_t elements, uint64_t step, uint64_t type) {
  return ((elements - 1) * step + 1) * data_type_bytes(type);
}
/* values = elements at, at + 1, ... of a row whose elements lie `step` apart; at most SE_CHUNK. */
void se_load(const struct se_path *path, uint64_t type, float *values, const uint8_t *row, uint64_t at, uint64_t step,
             uint32_t count);

static inline bool se_shape_is_legal(struct command *command, const struct se_shape *shape) {
  const bool legal = shape->rows != 0 && shape->rows <= MTIA_LIMIT_SE_ROWS && shape->elements != 0;
  return legal || command_illegal_sticky(command, 0);
}

static inline uint32_t se_chunk_at(const struct se_shape *shape, uint64_t at) {
  return shape->elements - at < SE_CHUNK ? (uint32_t)(shape->elements - at) : SE_CHUNK;
}

/* Occupies the engine from `ready` at the earliest; bytes: read and written in local memory. */
void se_take_time(struct pe *pe, const struct command *command, uint64_t ready, uint64_t elements, uint64_t bytes);

/* ---- ROW_SCALE, COLUMN_SCALE, COLUMN_BIAS: FP32 vectors that are operands by way of a command register ---- */

enum se_vector { VECTOR_ROW_SCALE, VECTOR_COLUMN_SCALE, VECTOR_COLUMN_BIAS, SE_VECTORS };

/* First byte of each, which may have any alignment; NULL: not used. */
struct se_vectors { const uint8_t *at[SE_VECTORS]; };

/* Both do nothing where the command names no vectors. */
bool se_vectors_prepare(struct pe *pe, struct command *command, uint64_t rows, uint64_t columns);
bool se_vectors_place(struct pe *pe, struct command *command, uint64_t rows, uint64_t columns, struct se_vectors *vectors);
/* Bytes that a command reads of them. */
uint64_t se_vectors_bytes(const struct se_vectors *vectors, uint64_t rows, uint64_t columns);
/*
 * values = (values * row scale) * column scale + column bias, for `rows` runs of `columns` values, `pitch` apart, that begin
 * at that row and column of the operands. rows * pitch is at most SE_CHUNK.
 */
void se_vectors_apply(const struct se_path *path, const struct se_vectors *vectors, float *values, uint64_t row, uint32_t rows,
                      uint64_t column, uint32_t columns, uint32_t pitch);

#endif
