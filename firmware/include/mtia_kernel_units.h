/* The compute units of a processing element, as functions: a part of mtia_kernel.h, which kernels include. */
#ifndef MTIA_KERNEL_UNITS_H
#define MTIA_KERNEL_UNITS_H
#include "mtia_kernel.h"

/* ---- Dot-product engine and reduction engine ---- */

static inline void accumulator_clear(uint64_t accumulator) {
  MTIA_LAUNCH(MTIA_COMMAND_ACC_INIT, MTIA_FIELD(MTIA_ACC_INIT_ACCUMULATOR, accumulator), 0);
}
/* Every row becomes the n values of bias at read pointer + offset. */
static inline void accumulator_bias(uint64_t accumulator, uint64_t cb, uint64_t offset, uint64_t n) {
  MTIA_LAUNCH(MTIA_COMMAND_ACC_INIT,
              MTIA_FIELD(MTIA_ACC_INIT_ACCUMULATOR, accumulator) | MTIA_FIELD(MTIA_ACC_INIT_BIAS, 1) |
                  MTIA_FIELD(MTIA_ACC_INIT_CB, cb) | MTIA_FIELD(MTIA_ACC_INIT_OFFSET, offset),
              MTIA_FIELD(MTIA_ACC_INIT_N, n));
}
/* Blocks of 64 bytes of k: v1 and 2i then add up the same products in the same order. */
#define MML_K_BYTES 64u
/* A block of the second operand: 64 bytes of k for 32 columns. */
#define MML_BLOCK_BYTES (MML_K_BYTES * 32u)

static inline uint64_t mml_shape_word(uint64_t m, uint64_t n, uint64_t type, uint64_t blocks) {
  return MTIA_FIELD(MTIA_MML_M, m) | MTIA_FIELD(MTIA_MML_N, n) | MTIA_FIELD(MTIA_MML_K_BYTES, MML_K_BYTES) |
         MTIA_FIELD(MTIA_MML_TYPE, type) | MTIA_FIELD(MTIA_MML_K_BLOCKS, blocks);
}
/* For a shape word: A lies as rows of k, MML_STRIDE apart, and the MLU transposes it on its way. */
#define MML_TRANSPOSE_A MTIA_FIELD(MTIA_MML_TRANSPOSE_A, 1)
static inline void mml_shape(uint64_t m, uint64_t n, uint64_t type, uint64_t blocks) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MML_SHAPE, mml_shape_word(m, n, type, blocks));
}
static inline void mml_stride(uint64_t bytes) { MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MML_STRIDE, bytes); }
/* An MML whose operands but the second offset are one word, so that a loop advances them with one addition. */
#define MML_OFFSET_A_UNIT ((uint64_t)1 << MTIA_MML_OFFSET_A_LOW)
static inline uint64_t mml_operands(uint64_t accumulator, uint64_t cb_a, uint64_t offset_a, uint64_t cb_b) {
  return MTIA_FIELD(MTIA_MML_ACCUMULATOR, accumulator) | MTIA_FIELD(MTIA_MML_CB_A, cb_a) |
         MTIA_FIELD(MTIA_MML_CB_B, cb_b) | MTIA_FIELD(MTIA_MML_OFFSET_A, offset_a);
}
static inline void mml_words(uint64_t operands, uint64_t offset_b) {
  MTIA_LAUNCH(MTIA_COMMAND_MML, operands, MTIA_FIELD(MTIA_MML_OFFSET_B, offset_b));
}
static inline void mml(uint64_t accumulator, uint64_t cb_a, uint64_t offset_a, uint64_t cb_b, uint64_t offset_b) {
  mml_words(mml_operands(accumulator, cb_a, offset_a, cb_b), offset_b);
}
/*
 * Contexts: MML registers of their own, 0 (which mml_shape and mml_stride set) to MTIA_MML_CONTEXTS - 1, for products of
 * several shapes without setting registers in between. Not on v1. context is a constant.
 */
static inline __attribute__((always_inline)) void mml_context(const uint64_t context, uint64_t shape, uint64_t stride) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MML_SHAPE + context * MTIA_MML_CONTEXT_REGISTERS, shape);
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MML_STRIDE + context * MTIA_MML_CONTEXT_REGISTERS, stride);
}
/* Each mml_words with mml_advancing goes on by these bytes in A and in B, from its own offsets on. */
static inline __attribute__((always_inline)) void mml_advance_by(const uint64_t context, uint64_t bytes_a, uint64_t bytes_b) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MML_INCREMENT + context * MTIA_MML_CONTEXT_REGISTERS, bytes_b << 32 | bytes_a);
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MML_OFFSET + context * MTIA_MML_CONTEXT_REGISTERS, 0);
}
/* For the operands of mml_words. */
static inline uint64_t mml_in_context(uint64_t context) { return MTIA_FIELD(MTIA_MML_CONTEXT, context); }
static inline uint64_t mml_advancing(void) { return MTIA_FIELD(MTIA_MML_ADVANCE, 1); }
/* The second operand is 2:4 sparse, in packed blocks of this many bytes. Not on v1. */
static inline uint64_t mml_sparse_block_bytes(uint64_t type) { return type == MTIA_TYPE_INT8 ? 1024 + 256 : 1024 + 128; }
static inline void mml_sparse(uint64_t accumulator, uint64_t cb_a, uint64_t offset_a, uint64_t cb_b, uint64_t offset_b) {
  MTIA_LAUNCH(MTIA_COMMAND_MML_SPARSE, mml_operands(accumulator, cb_a, offset_a, cb_b),
              MTIA_FIELD(MTIA_MML_SPARSE_OFFSET_B, offset_b));
}
/* What REDUCE does with an accumulator on its way to a circular buffer. */
struct reduction {
  uint64_t function, type, stride;
};
static inline void reduce(uint64_t accumulator, uint64_t cb, uint64_t offset, uint64_t rows, uint64_t columns,
                          struct reduction how) {
  MTIA_LAUNCH(MTIA_COMMAND_REDUCE,
              MTIA_FIELD(MTIA_REDUCE_ACCUMULATOR, accumulator) | MTIA_FIELD(MTIA_REDUCE_CB, cb) |
                  MTIA_FIELD(MTIA_REDUCE_FUNCTION, how.function) | MTIA_FIELD(MTIA_REDUCE_TYPE, how.type) |
                  MTIA_FIELD(MTIA_REDUCE_OFFSET, offset),
              MTIA_FIELD(MTIA_REDUCE_ROWS, rows) | MTIA_FIELD(MTIA_REDUCE_COLUMNS, columns) |
                  MTIA_FIELD(MTIA_REDUCE_STRIDE, how.stride));
}

/*
 * FP32 vectors that scale and shift what REDUCE_DEQUANTIZE and SE_DEQUANTIZE pass on: (value * row scale) * column scale +
 * column bias. Each setter takes vector_operand, a place of FP32 values in a circular buffer, or NO_VECTOR.
 */
#define NO_VECTOR 0ull
static inline uint64_t vector_operand(uint64_t cb, uint64_t offset) { return offset << 32 | cb << 8 | 1; }
static inline void row_scale(uint64_t operand) { MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_ROW_SCALE, operand); }
static inline void column_scale(uint64_t operand) { MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_COLUMN_SCALE, operand); }
static inline void column_bias(uint64_t operand) { MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_COLUMN_BIAS, operand); }
/* As reduce, with the vectors. */
static inline void reduce_dequantize(uint64_t accumulator, uint64_t cb, uint64_t offset, uint64_t rows, uint64_t columns,
                                     struct reduction how) {
  MTIA_LAUNCH(MTIA_COMMAND_REDUCE_DEQUANTIZE,
              MTIA_FIELD(MTIA_REDUCE_DEQUANTIZE_ACCUMULATOR, accumulator) | MTIA_FIELD(MTIA_REDUCE_DEQUANTIZE_CB, cb) |
                  MTIA_FIELD(MTIA_REDUCE_DEQUANTIZE_FUNCTION, how.function) |
                  MTIA_FIELD(MTIA_REDUCE_DEQUANTIZE_TYPE, how.type) | MTIA_FIELD(MTIA_REDUCE_DEQUANTIZE_OFFSET, offset),
              MTIA_FIELD(MTIA_REDUCE_DEQUANTIZE_ROWS, rows) | MTIA_FIELD(MTIA_REDUCE_DEQUANTIZE_COLUMNS, columns) |
                  MTIA_FIELD(MTIA_REDUCE_DEQUANTIZE_STRIDE, how.stride));
}
/* Minimum and maximum of each row, two FP32 values; merge: together with those that lie there. Not on v1. */
static inline void re_row_range(uint64_t accumulator, bool merge, uint64_t cb, uint64_t offset, uint64_t rows,
                                uint64_t columns, uint64_t stride) {
  MTIA_LAUNCH(MTIA_COMMAND_RE_ROW_RANGE,
              MTIA_FIELD(MTIA_RE_ROW_RANGE_ACCUMULATOR, accumulator) | MTIA_FIELD(MTIA_RE_ROW_RANGE_CB, cb) |
                  MTIA_FIELD(MTIA_RE_ROW_RANGE_MERGE, merge) | MTIA_FIELD(MTIA_RE_ROW_RANGE_OFFSET, offset),
              MTIA_FIELD(MTIA_RE_ROW_RANGE_ROWS, rows) | MTIA_FIELD(MTIA_RE_ROW_RANGE_COLUMNS, columns) |
                  MTIA_FIELD(MTIA_RE_ROW_RANGE_STRIDE, stride));
}

/*
 * Links of the reduction network, MTIA_REDUCTION_LINK_*: blocks of partial sums to the southern or eastern neighbour inside
 * the job's rectangle, type MTIA_TYPE_FP32 or, after INT8 products, MTIA_TYPE_INT32. The chip holds a sender while the link is
 * full and a receiver until the block is there; both ends name the same shape and type. A block that nobody receives ends
 * with the job.
 */
struct partial_sums {
  uint64_t link, type, rows, columns;
};
static inline void reduce_send(uint64_t accumulator, struct partial_sums block) {
  MTIA_LAUNCH(MTIA_COMMAND_REDUCE_SEND,
              MTIA_FIELD(MTIA_REDUCE_SEND_ACCUMULATOR, accumulator) | MTIA_FIELD(MTIA_REDUCE_SEND_LINK, block.link) |
                  MTIA_FIELD(MTIA_REDUCE_SEND_TYPE, block.type),
              MTIA_FIELD(MTIA_REDUCE_SEND_ROWS, block.rows) | MTIA_FIELD(MTIA_REDUCE_SEND_COLUMNS, block.columns));
}
/* Adds the neighbour's block to the accumulator. */
static inline void reduce_receive(uint64_t accumulator, struct partial_sums block) {
  MTIA_LAUNCH(MTIA_COMMAND_REDUCE_RECEIVE,
              MTIA_FIELD(MTIA_REDUCE_RECEIVE_ACCUMULATOR, accumulator) | MTIA_FIELD(MTIA_REDUCE_RECEIVE_LINK, block.link) |
                  MTIA_FIELD(MTIA_REDUCE_RECEIVE_TYPE, block.type),
              MTIA_FIELD(MTIA_REDUCE_RECEIVE_ROWS, block.rows) | MTIA_FIELD(MTIA_REDUCE_RECEIVE_COLUMNS, block.columns));
}

/* ---- SIMD engine ---- */

/* address is an offset in local memory, a multiple of 32. */
static inline void se_load_table(uint64_t slot, uint64_t address, uint64_t bytes) {
  MTIA_LAUNCH(MTIA_COMMAND_SE_LOAD_TABLE,
              MTIA_FIELD(MTIA_SE_LOAD_TABLE_SLOT, slot) | MTIA_FIELD(MTIA_SE_LOAD_TABLE_ADDRESS, address),
              MTIA_FIELD(MTIA_SE_LOAD_TABLE_BYTES, bytes));
}
static inline void se_shape(uint64_t rows, uint64_t elements) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_SE_SHAPE, (uint64_t)elements << 16 | rows);
}
/* Of the sources, every first_step-th and every second_step-th element: 1..256. */
static inline void se_shape_with_steps(uint64_t rows, uint64_t elements, uint64_t first_step, uint64_t second_step) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_SE_SHAPE,
                            (second_step - 1) << 40 | (first_step - 1) << 32 | elements << 16 | rows);
}
static inline void se_strides(uint64_t first_source, uint64_t second_source, uint64_t destination) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_SE_SOURCE_STRIDE, (uint64_t)second_source << 32 | first_source);
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_SE_DESTINATION_STRIDE, destination);
}
/* A place in a circular buffer and the type of what is there. */
struct se_operand {
  uint64_t cb, offset, type;
};
static inline void se_unary(uint64_t function, struct se_operand source, struct se_operand destination) {
  MTIA_LAUNCH(MTIA_COMMAND_SE_UNARY,
              MTIA_FIELD(MTIA_SE_UNARY_CB_SOURCE, source.cb) | MTIA_FIELD(MTIA_SE_UNARY_CB_DESTINATION, destination.cb) |
                  MTIA_FIELD(MTIA_SE_UNARY_FUNCTION, function) | MTIA_FIELD(MTIA_SE_UNARY_TYPE_IN, source.type) |
                  MTIA_FIELD(MTIA_SE_UNARY_TYPE_OUT, destination.type) |
                  MTIA_FIELD(MTIA_SE_UNARY_SOURCE_OFFSET, source.offset),
              MTIA_FIELD(MTIA_SE_UNARY_DESTINATION_OFFSET, destination.offset));
}
/* Both sources have the type of the first. For operation: the second source has one element a row. */
#define SE_PER_ROW (MTIA_FIELD(MTIA_SE_BINARY_PER_ROW, 1) >> MTIA_SE_BINARY_OPERATION_LOW)
static inline void se_binary(uint64_t operation, struct se_operand first, struct se_operand second,
                             struct se_operand destination) {
  MTIA_LAUNCH(MTIA_COMMAND_SE_BINARY,
              MTIA_FIELD(MTIA_SE_BINARY_CB_FIRST, first.cb) | MTIA_FIELD(MTIA_SE_BINARY_CB_DESTINATION, destination.cb) |
                  MTIA_FIELD(MTIA_SE_BINARY_OPERATION, operation) | MTIA_FIELD(MTIA_SE_BINARY_TYPE_IN, first.type) |
                  MTIA_FIELD(MTIA_SE_BINARY_TYPE_OUT, destination.type) |
                  MTIA_FIELD(MTIA_SE_BINARY_FIRST_OFFSET, first.offset),
              MTIA_FIELD(MTIA_SE_BINARY_DESTINATION_OFFSET, destination.offset) |
                  MTIA_FIELD(MTIA_SE_BINARY_SECOND_OFFSET, second.offset) |
                  MTIA_FIELD(MTIA_SE_BINARY_CB_SECOND, second.cb));
}
/* accumulate: the FP32 row that lies at the destination is the first summand. */
static inline void se_row_accumulate(bool accumulate, struct se_operand source, struct se_operand destination) {
  MTIA_LAUNCH(MTIA_COMMAND_SE_ROW_ACCUMULATE,
              MTIA_FIELD(MTIA_SE_ROW_ACCUMULATE_CB_SOURCE, source.cb) |
                  MTIA_FIELD(MTIA_SE_ROW_ACCUMULATE_CB_DESTINATION, destination.cb) |
                  MTIA_FIELD(MTIA_SE_ROW_ACCUMULATE_ACCUMULATE, accumulate) |
                  MTIA_FIELD(MTIA_SE_ROW_ACCUMULATE_TYPE_IN, source.type) |
                  MTIA_FIELD(MTIA_SE_ROW_ACCUMULATE_TYPE_OUT, destination.type) |
                  MTIA_FIELD(MTIA_SE_ROW_ACCUMULATE_SOURCE_OFFSET, source.offset),
              MTIA_FIELD(MTIA_SE_ROW_ACCUMULATE_DESTINATION_OFFSET, destination.offset));
}

/* To INT8 by the reciprocal of FP32 scales: one for each row, or one for all. The types of destination and scale are given. */
static inline void se_quantize(bool per_row, struct se_operand source, struct se_operand destination, struct se_operand scale) {
  MTIA_LAUNCH(MTIA_COMMAND_SE_QUANTIZE,
              MTIA_FIELD(MTIA_SE_QUANTIZE_CB_SOURCE, source.cb) | MTIA_FIELD(MTIA_SE_QUANTIZE_CB_DESTINATION, destination.cb) |
                  MTIA_FIELD(MTIA_SE_QUANTIZE_PER_ROW, per_row) | MTIA_FIELD(MTIA_SE_QUANTIZE_TYPE_IN, source.type) |
                  MTIA_FIELD(MTIA_SE_QUANTIZE_SOURCE_OFFSET, source.offset),
              MTIA_FIELD(MTIA_SE_QUANTIZE_DESTINATION_OFFSET, destination.offset) |
                  MTIA_FIELD(MTIA_SE_QUANTIZE_SCALE_OFFSET, scale.offset) | MTIA_FIELD(MTIA_SE_QUANTIZE_CB_SCALE, scale.cb));
}
/* As se_unary, with row_scale, column_scale and column_bias. */
static inline void se_dequantize(uint64_t function, struct se_operand source, struct se_operand destination) {
  MTIA_LAUNCH(MTIA_COMMAND_SE_DEQUANTIZE,
              MTIA_FIELD(MTIA_SE_DEQUANTIZE_CB_SOURCE, source.cb) |
                  MTIA_FIELD(MTIA_SE_DEQUANTIZE_CB_DESTINATION, destination.cb) |
                  MTIA_FIELD(MTIA_SE_DEQUANTIZE_FUNCTION, function) | MTIA_FIELD(MTIA_SE_DEQUANTIZE_TYPE_IN, source.type) |
                  MTIA_FIELD(MTIA_SE_DEQUANTIZE_TYPE_OUT, destination.type) |
                  MTIA_FIELD(MTIA_SE_DEQUANTIZE_SOURCE_OFFSET, source.offset),
              MTIA_FIELD(MTIA_SE_DEQUANTIZE_DESTINATION_OFFSET, destination.offset));
}
/* operation: MTIA_SE_ROW_OPERATION_*; one FP32 value a row. merge: what lies at the destination takes part. */
static inline void se_row_reduce(uint64_t operation, bool merge, struct se_operand source, struct se_operand destination) {
  MTIA_LAUNCH(MTIA_COMMAND_SE_ROW_REDUCE,
              MTIA_FIELD(MTIA_SE_ROW_REDUCE_CB_SOURCE, source.cb) |
                  MTIA_FIELD(MTIA_SE_ROW_REDUCE_CB_DESTINATION, destination.cb) |
                  MTIA_FIELD(MTIA_SE_ROW_REDUCE_OPERATION, operation) | MTIA_FIELD(MTIA_SE_ROW_REDUCE_MERGE, merge) |
                  MTIA_FIELD(MTIA_SE_ROW_REDUCE_TYPE_IN, source.type) |
                  MTIA_FIELD(MTIA_SE_ROW_REDUCE_SOURCE_OFFSET, source.offset),
              MTIA_FIELD(MTIA_SE_ROW_REDUCE_DESTINATION_OFFSET, destination.offset));
}

/* ---- Memory layout unit ---- */

static inline void mlu_shape(uint64_t rows, uint64_t elements, uint64_t element_bytes) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MLU_SHAPE,
                            element_bytes * 8 << 32 | elements << 16 | rows);
}
/* Elements of 4 bits, the first of a byte in its lower half; a row begins at a byte. */
static inline void mlu_shape_of_halves(uint64_t rows, uint64_t elements) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MLU_SHAPE, (uint64_t)4 << 32 | elements << 16 | rows);
}
/* Of the source, every step-th element: 1..256. */
static inline void mlu_shape_with_step(uint64_t rows, uint64_t elements, uint64_t element_bytes, uint64_t step) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MLU_SHAPE,
                            (step - 1) << 40 | element_bytes * 8 << 32 | elements << 16 | rows);
}
static inline void mlu_strides(uint64_t source, uint64_t destination) {
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MLU_SOURCE_STRIDE, source);
  MTIA_SET_COMMAND_REGISTER(MTIA_COMMAND_REGISTER_MLU_DESTINATION_STRIDE, destination);
}
static inline void mlu_transpose(uint64_t cb_source, uint64_t source_offset, uint64_t cb_destination,
                                 uint64_t destination_offset) {
  MTIA_LAUNCH(MTIA_COMMAND_MLU_TRANSPOSE,
              MTIA_FIELD(MTIA_MLU_TRANSPOSE_CB_SOURCE, cb_source) |
                  MTIA_FIELD(MTIA_MLU_TRANSPOSE_CB_DESTINATION, cb_destination) |
                  MTIA_FIELD(MTIA_MLU_TRANSPOSE_SOURCE_OFFSET, source_offset),
              MTIA_FIELD(MTIA_MLU_TRANSPOSE_DESTINATION_OFFSET, destination_offset));
}
static inline void mlu_copy(uint64_t cb_source, uint64_t source_offset, uint64_t cb_destination,
                            uint64_t destination_offset) {
  MTIA_LAUNCH(MTIA_COMMAND_MLU_COPY,
              MTIA_FIELD(MTIA_MLU_COPY_CB_SOURCE, cb_source) | MTIA_FIELD(MTIA_MLU_COPY_CB_DESTINATION, cb_destination) |
                  MTIA_FIELD(MTIA_MLU_COPY_SOURCE_OFFSET, source_offset),
              MTIA_FIELD(MTIA_MLU_COPY_DESTINATION_OFFSET, destination_offset));
}

#endif
