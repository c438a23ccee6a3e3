/* Every path of the units' arithmetic that this host can run computes the bits of the portable one. */
#include "matmul.h"
#include "../include/mtia.h"
#include "arithmetic_check.h"
#include "arithmetic_path.h"
#include "numeric_format.h"
#include "pe_test.h"

/* Fewer where an emulated host runs them. */
#ifndef PRODUCTS
#define PRODUCTS 3000
#define SE_ROUNDS 400
#endif

/* The instructions alone decide: a path that the check at start would turn down must fail here. */
static void every_path_gives_the_bits_of_the_portable_one(void) {
  for (uint32_t i = 0; i < arithmetic_path_count; i++) {
    const struct arithmetic_path *const path = &arithmetic_paths[i];
    struct arithmetic_difference difference = {""};
    if (!path->host_has_it()) continue;
    CHECK(arithmetic_matmul_agrees(path->matmul, test_seed, PRODUCTS, &difference));
    if (difference.text[0] != 0) printf("  seed %llu: %s\n", (unsigned long long)test_seed, difference.text);
    difference.text[0] = 0;
    CHECK(arithmetic_se_agrees(path->se, test_seed, SE_ROUNDS, &difference));
    if (difference.text[0] != 0) printf("  seed %llu: %s\n", (unsigned long long)test_seed, difference.text);
  }
}

static void a_path_is_chosen_by_its_number(void) {
  const uint32_t here = arithmetic_paths_here();
  CHECK((here >> MTIA_MATMUL_FASTEST & 1) != 0 && (here >> MTIA_MATMUL_PORTABLE & 1) != 0);
  CHECK(arithmetic_path_select(MTIA_MATMUL_PORTABLE)->matmul == &matmul_portable);
  CHECK(arithmetic_path_select(MTIA_MATMUL_PORTABLE)->se == &se_portable);
  for (uint32_t number = 1; number <= MTIA_MATMUL_NEON; number++) {
    const struct arithmetic_path *const path = arithmetic_path_select(number);
    CHECK_EQUAL(path != NULL, here >> number & 1);
    if (path != NULL) CHECK_EQUAL(path->number, number);
  }
}

/* ---- What the check at start must find ---- */

#define START_ROUNDS 48 /* as arithmetic_path.c */

static void int8_of(union accumulator *sum, const struct matmul_operands *operands) { matmul_portable.int8(sum, operands); }
static void fp16_of(union accumulator *sum, const struct matmul_operands *operands) { matmul_portable.fp16(sum, operands); }

/* Products as some instruction might compute them: one chain instead of two. */
static void bf16_in_one_chain(union accumulator *sum, const struct matmul_operands *operands) {
  for (uint32_t row = 0; row < operands->m; row++)
    for (uint32_t n = 0; n < operands->n; n++) {
      double chain = 0;
      for (uint32_t k = 0; k < operands->k_bytes * operands->blocks / 2; k++) {
        uint16_t a, b;
        memcpy(&a, operands->a[row] + k * 2, 2);
        memcpy(&b, operands->b + k / 2 * MATMUL_B_ROW_BYTES + n * 4 + k % 2 * 2, 2);
        chain = (float)((double)fp32_of_bf16(a) * fp32_of_bf16(b) + chain);
      }
      sum->fp32[row][n] += (float)chain;
    }
}

/* As a chain of VPMADDUBSW does with the sums of two products. */
static void int8_saturating(union accumulator *sum, const struct matmul_operands *operands) {
  for (uint32_t row = 0; row < operands->m; row++)
    for (uint32_t n = 0; n < operands->n; n++)
      for (uint32_t k = 0; k < operands->k_bytes * operands->blocks; k += 2) {
        const int8_t *const a = (const int8_t *)operands->a[row] + k;
        const int8_t *const b = (const int8_t *)operands->b + k / 4 * MATMUL_B_ROW_BYTES + n * 4 + k % 4;
        const int32_t pair = a[0] * b[0] + a[1] * b[1];
        sum->int32[row][n] = (int32_t)((uint32_t)sum->int32[row][n] + (uint32_t)(pair > 32767 ? 32767 : pair));
      }
}

static void fp16_one_column_too_many(union accumulator *sum, const struct matmul_operands *operands) {
  struct matmul_operands wider = *operands;
  if (wider.n < MATMUL_COLUMNS) wider.n++;
  matmul_portable.fp16(sum, &wider);
}

/* A denormal operand counts as what it is. */
static void bf16_keeping_denormals(union accumulator *sum, const struct matmul_operands *operands) {
  const union accumulator before = *sum;
  matmul_portable.bf16(sum, operands);
  for (uint32_t row = 0; row < operands->m; row++)
    for (uint32_t n = 0; n < operands->n; n++) {
      const float kept = before.fp32[row][n];
      if (fp32_flush(kept) != kept) sum->fp32[row][n] += kept;
    }
}

static void the_check_at_start_finds_other_arithmetic(void) {
  const struct matmul_path wrong[] = {{"one chain", int8_of, fp16_of, bf16_in_one_chain},
                                      {"saturating", int8_saturating, fp16_of, matmul_portable.bf16},
                                      {"too wide", int8_of, fp16_one_column_too_many, matmul_portable.bf16},
                                      {"denormals kept", int8_of, fp16_of, bf16_keeping_denormals}};
  for (uint64_t seed = 1; seed <= 20; seed++)
    for (uint32_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
      struct arithmetic_difference difference;
      CHECK(!arithmetic_matmul_agrees(&wrong[i], seed, START_ROUNDS, &difference));
      if (seed == 1) CHECK(strstr(difference.text, wrong[i].name) == difference.text);
    }
}

/* ---- The definition ---- */

static void int8_products_are_exact(void) {
  uint8_t a[9 * 64], b[9 * 16 * MATMUL_B_ROW_BYTES];
  memset(a, 0x80, sizeof a);
  memset(b, 0x80, sizeof b);
  struct matmul_operands operands = {.b = b, .m = 32, .n = 32, .k_bytes = 64, .blocks = 9};
  for (uint32_t row = 0; row < 32; row++) operands.a[row] = a;
  for (uint32_t i = 0; i < arithmetic_path_count; i++) {
    if (!arithmetic_paths[i].host_has_it()) continue;
    union accumulator sum;
    memset(&sum, 0, sizeof sum);
    arithmetic_paths[i].matmul->int8(&sum, &operands);
    CHECK_EQUAL(sum.int32[31][31], 128 * 128 * 64 * 9);
  }
}

/* In one chain 2^24 + 1 - 2^24 is 0; in two the even one gives 0 and the odd one 1. */
static void the_order_is_two_chains(void) {
  uint16_t a[32] = {0x3f80, 0x3f80, 0x3f80}, b[16][64] = {{0}};
  const uint16_t values[3] = {0x4b80, 0x3f80, 0xcb80}; /* 2^24, 1, -2^24 */
  for (uint32_t k = 0; k < 3; k++)
    for (uint32_t n = 0; n < 32; n++) b[k / 2][n * 2 + k % 2] = values[k];
  struct matmul_operands operands = {.b = (const uint8_t *)b, .m = 1, .n = 32, .k_bytes = 64, .blocks = 1};
  operands.a[0] = (const uint8_t *)a;
  for (uint32_t i = 0; i < arithmetic_path_count; i++) {
    if (!arithmetic_paths[i].host_has_it()) continue;
    union accumulator sum;
    memset(&sum, 0, sizeof sum);
    arithmetic_paths[i].matmul->bf16(&sum, &operands);
    CHECK(sum.fp32[0][0] == 1 && sum.fp32[0][31] == 1);
  }
}

void test_matmul(void) {
  RUN(every_path_gives_the_bits_of_the_portable_one);
  RUN(a_path_is_chosen_by_its_number);
  RUN(the_check_at_start_finds_other_arithmetic);
  RUN(int8_products_are_exact);
  RUN(the_order_is_two_chains);
  RUN(amx_code_is_right_on_modelled_tiles);
}
