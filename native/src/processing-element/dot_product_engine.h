/* What MML and MML_SPARSE share. */
#ifndef MTIA_DOT_PRODUCT_ENGINE_H
#define MTIA_DOT_PRODUCT_ENGINE_H
#include "pe_internal.h"

#define WIDEST_K_BYTES 64

/* MML_SHAPE and MML_STRIDE; the fields of both commands are the same. */
struct mml {
  uint32_t m, n, k_bytes, k_blocks, type, accumulator;
  bool transpose_a;
  uint64_t stride; /* of A */
};

struct mml mml_of(const struct command *command);
/* The part of prepare that both commands share, first: contexts, strides, accumulator, and A, where advance has moved it. */
bool mml_prepare_first(struct pe *pe, struct command *command, const struct mml *mml);
bool mml_place_first(struct pe *pe, struct command *command, const struct mml *mml, struct block *a);
/* Where a block of k of the rows of A is: in the buffer, or, transposed, in `rows`. */
void mml_first_rows(const struct mml *mml, const struct block *a, uint32_t block, uint8_t rows[MATMUL_ROWS][WIDEST_K_BYTES],
                    const uint8_t *at[MATMUL_ROWS]);
matmul_function *mml_function_of(const struct pe *pe, uint64_t type);
/* Notes what the accumulator now holds, and counts the products of k_bytes for every output. */
void mml_added(struct pe *pe, const struct mml *mml, uint64_t k_bytes);
/*
 * The second operand streams, a column a cycle, past the first, which is held (I23 section 3): steps passes. a_bytes, b_bytes:
 * read from local memory.
 */
void mml_take_time(struct pe *pe, const struct mml *mml, const struct command *command, uint64_t steps, uint64_t a_bytes,
                   uint64_t b_bytes);

#endif
