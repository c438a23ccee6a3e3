/*
 * Compares a path of the units' arithmetic with the portable one, on numbers that tell them apart: about the size of one,
 * cancelling, around the smallest normal number, and any bits at all (NaNs, infinities, denormals). At start this decides
 * whether a path is used; native/test runs the same with more rounds and other seeds.
 */
#ifndef MTIA_ARITHMETIC_CHECK_H
#define MTIA_ARITHMETIC_CHECK_H
#include <stdbool.h>
#include <stdint.h>
#include "matmul.h"
#include "simd_engine.h"

/* The first difference, in words that lead to it. */
struct arithmetic_difference { char text[160]; };

/* A product a round: any shape up to 32 x 32 outputs and nine chained blocks, added to any accumulator. */
bool arithmetic_matmul_agrees(const struct matmul_path *path, uint64_t seed, uint32_t rounds,
                              struct arithmetic_difference *difference);
/* Every conversion, function and operation on rows of random length. */
bool arithmetic_se_agrees(const struct se_path *path, uint64_t seed, uint32_t rounds, struct arithmetic_difference *difference);

#endif
