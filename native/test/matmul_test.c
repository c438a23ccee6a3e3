/* Every path of the dot-product engine that this host can run computes the bits of the portable one. */
#include "matmul.h"
#include "../include/mtia.h"
#include "numeric_format.h"
#include "pe_test.h"

/* Which numbers the operands are drawn from. */
enum draw {
  DRAW_ANY_BITS,       /* NaNs and infinities everywhere */
  DRAW_ORDINARY,       /* about the size of one: rounding differs with every change of order */
  DRAW_CANCELLING,     /* few magnitudes, both signs: sums that vanish, zeros of both signs */
  DRAW_NEARLY_DENORMAL /* products and sums around the smallest normal number */
};

static uint16_t draw16(struct random *random, uint32_t type, enum draw draw) {
  const uint64_t bits = random_next(random);
  const uint16_t any = (uint16_t)bits;
  const bool bf16 = type == MTIA_TYPE_BF16;
  const uint32_t fraction_bits = bf16 ? 7 : 10;
  const uint32_t fraction = any & ((1u << fraction_bits) - 1u);
  uint32_t exponent = bf16 ? 120 + (bits >> 20) % 14 : 10 + (bits >> 20) % 10;
  if (draw == DRAW_ANY_BITS || type == MTIA_TYPE_INT8) return any;
  if (draw == DRAW_CANCELLING)
    return (uint16_t)((any & 0x8000) | (bf16 ? 127 : 15) << fraction_bits | (fraction & 3) << (fraction_bits - 2));
  if (draw == DRAW_NEARLY_DENORMAL)
    exponent = bf16 ? ((bits >> 20) % 5 == 0 ? 0 : 50 + (bits >> 20) % 30) : (bits >> 20) % 3;
  return (uint16_t)((any & 0x8000) | exponent << fraction_bits | fraction);
}

static float draw32(struct random *random, enum draw draw) {
  if (draw == DRAW_ANY_BITS) return random_float(random);
  uint32_t bits = (uint32_t)random_next(random);
  if (draw == DRAW_NEARLY_DENORMAL) bits = (bits & 0x81ffffff); /* exponents 0..3 */
  if (draw == DRAW_ORDINARY) bits = (bits & 0x80ffffff) | 0x3f000000;
  return draw == DRAW_CANCELLING ? (float)((int32_t)bits % 8) : fp32_of_bits(bits);
}

struct operand_memory {
  uint16_t a[MATMUL_ROWS][9 * 32 + 1];
  uint16_t b[9 * 16 * 64 + 1];
  union accumulator start;
};

static void draw_operands(struct operand_memory *memory, struct matmul_operands *operands, struct random *random, uint32_t type,
                          enum draw draw) {
  for (uint32_t row = 0; row < MATMUL_ROWS; row++) {
    for (uint32_t i = 0; i < 9 * 32 + 1; i++) memory->a[row][i] = draw16(random, type, draw);
    operands->a[row] = (const uint8_t *)memory->a[row] + (row & 1); /* any alignment */
    if ((row & 1) != 0 && draw != DRAW_ANY_BITS) operands->a[row] = (const uint8_t *)memory->a[row];
  }
  for (uint32_t i = 0; i < 9 * 16 * 64 + 1; i++) memory->b[i] = draw16(random, type, draw);
  operands->b = (const uint8_t *)memory->b;
  for (uint32_t row = 0; row < MATMUL_ROWS; row++)
    for (uint32_t n = 0; n < MATMUL_COLUMNS; n++) {
      if (type == MTIA_TYPE_INT8) memory->start.int32[row][n] = (int32_t)random_next(random);
      else memory->start.fp32[row][n] = draw32(random, draw);
    }
  operands->m = 1 + (uint32_t)random_next(random) % 32;
  operands->n = 1 + (uint32_t)random_next(random) % 32;
  operands->k_bytes = random_next(random) % 4 == 0 ? 32 : 64;
  operands->blocks = 1 + (uint32_t)random_next(random) % 9;
}

static matmul_function *function_of(const struct matmul_path *path, uint32_t type) {
  return type == MTIA_TYPE_INT8 ? path->int8 : type == MTIA_TYPE_FP16 ? path->fp16 : path->bf16;
}

static bool agree(const struct matmul_path *path, uint32_t type, const struct operand_memory *memory,
                  const struct matmul_operands *operands) {
  union accumulator expected = memory->start, found = memory->start;
  function_of(&matmul_portable, type)(&expected, operands);
  function_of(path, type)(&found, operands);
  for (uint32_t row = 0; row < MATMUL_ROWS; row++)
    for (uint32_t n = 0; n < MATMUL_COLUMNS; n++) {
      const uint32_t a = (uint32_t)expected.int32[row][n], b = (uint32_t)found.int32[row][n];
      const bool nans = type != MTIA_TYPE_INT8 && fp32_bits_are_nan(a) && fp32_bits_are_nan(b);
      if (a == b || nans) continue;
      printf("  %s, type %u, m %u n %u k %u blocks %u: [%u][%u] is %08x, not %08x\n", path->name, type, operands->m, operands->n,
             operands->k_bytes, operands->blocks, row, n, b, a);
      return false;
    }
  return true;
}

static void compare_path(const struct matmul_path *path) {
  static const uint32_t types[] = {MTIA_TYPE_INT8, MTIA_TYPE_FP16, MTIA_TYPE_BF16};
  static struct operand_memory memory;
  struct random random = {11};
  for (uint32_t draw = 0; draw < 4; draw++)
    for (uint32_t i = 0; i < 150; i++) {
      struct matmul_operands operands;
      draw_operands(&memory, &operands, &random, types[i % 3], draw);
      CHECK(agree(path, types[i % 3], &memory, &operands));
    }
}

static void paths_agree_bit_by_bit(void) {
  compare_path(matmul_path_select(MTIA_MATMUL_FASTEST));
#if defined(__x86_64__)
  /* The path of a host without VDPBF16PS, if this one has the rest. */
  if (matmul_path_select(MTIA_MATMUL_FASTEST) != &matmul_portable) compare_path(&matmul_avx512);
#endif
}

/* A host cannot run every path, and tests name the path that they ask for. */
static void paths_have_names(void) {
  CHECK(strcmp(matmul_path_name(MTIA_MATMUL_PORTABLE), "portable") == 0);
  CHECK(strcmp(matmul_path_name(MTIA_MATMUL_FASTEST), matmul_path_name(MTIA_MATMUL_AVX512)) == 0);
}

static void int8_products_are_exact(void) {
  uint8_t a[9 * 64], b[9 * 16 * MATMUL_B_ROW_BYTES];
  memset(a, 0x80, sizeof a);
  memset(b, 0x80, sizeof b);
  struct matmul_operands operands = {.b = b, .m = 32, .n = 32, .k_bytes = 64, .blocks = 9};
  for (uint32_t row = 0; row < 32; row++) operands.a[row] = a;
  for (uint32_t path = 0; path < 2; path++) {
    union accumulator sum;
    memset(&sum, 0, sizeof sum);
    matmul_path_select(path)->int8(&sum, &operands);
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
  for (uint32_t path = 0; path < 2; path++) {
    union accumulator sum;
    memset(&sum, 0, sizeof sum);
    matmul_path_select(path)->bf16(&sum, &operands);
    CHECK(sum.fp32[0][0] == 1 && sum.fp32[0][31] == 1);
  }
}

void test_matmul(void) {
  RUN(paths_agree_bit_by_bit);
  RUN(paths_have_names);
  RUN(int8_products_are_exact);
  RUN(the_order_is_two_chains);
}
