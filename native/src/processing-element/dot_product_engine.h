/* What MML and MML_SPARSE share. */
#ifndef MTIA_DOT_PRODUCT_ENGINE_H
#define MTIA_DOT_PRODUCT_ENGINE_H
#include "pe_internal.h"

/* MML_SHAPE and MML_STRIDE; the fields of both commands are the same. */
struct mml {
  uint32_t m, n, k_bytes, k_blocks, type, accumulator;
  uint64_t stride; /* of A */
};

struct mml mml_of(const struct command *command);
matmul_function *mml_function_of(const struct pe *pe, uint64_t type);
/* Notes what the accumulator now holds, and counts the products of k_bytes for every output. */
void mml_added(struct pe *pe, const struct mml *mml, uint64_t k_bytes);
/*
 * The second operand streams, a column a cycle, past the first, which is held (I23 section 3): steps passes. bytes: read from
 * local memory.
 */
void mml_take_time(struct pe *pe, const struct mml *mml, const struct command *command, uint64_t steps, uint64_t bytes);

#endif
