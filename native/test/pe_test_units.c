/* Every unit against the scalar definition: numeric_format.h, matmul_portable.c, docs/numerics.md. */
#include <math.h>
#include <stdlib.h>
#include "../include/mtia.h"
#include "numeric_format.h"
#include "pe_test.h"

/* ---- The scalar definition ---- */

static float load_one(uint32_t type, const uint8_t *at) {
  uint16_t half;
  int32_t word;
  float value;
  memcpy(&half, at, type == MTIA_TYPE_INT8 ? 1 : 2);
  switch (type) {
    case MTIA_TYPE_INT8: return (float)(int8_t)*at;
    case MTIA_TYPE_FP16: return fp32_of_fp16(half);
    case MTIA_TYPE_BF16: return fp32_of_bf16(half);
    case MTIA_TYPE_FP32: memcpy(&value, at, 4); return value;
    default: memcpy(&word, at, 4); return (float)word;
  }
}

static void store_one(uint32_t type, uint8_t *at, float value) {
  const int8_t byte = int8_of_fp32(value);
  const uint16_t half = type == MTIA_TYPE_FP16 ? fp16_of_fp32(value) : bf16_of_fp32(value);
  const float canonical = fp32_canonical(value);
  const int32_t word = int32_of_fp32(value);
  if (type == MTIA_TYPE_INT8) memcpy(at, &byte, 1);
  if (type == MTIA_TYPE_FP16 || type == MTIA_TYPE_BF16) memcpy(at, &half, 2);
  if (type == MTIA_TYPE_FP32) memcpy(at, &canonical, 4);
  if (type == MTIA_TYPE_INT32) memcpy(at, &word, 4);
}

static void fill(uint8_t *at, uint32_t type, uint32_t count, struct random *random) {
  for (uint32_t i = 0; i < count; i++) {
    const float value = random_float(random);
    const uint64_t bits = random_next(random);
    if (type == MTIA_TYPE_FP32) memcpy(at + i * 4, &value, 4);
    else if ((bits >> 32 & 1) != 0 && type != MTIA_TYPE_INT32) store_one(type, at + i * data_type_bytes(type), value);
    else memcpy(at + i * data_type_bytes(type), &bits, data_type_bytes(type));
  }
}

/* ---- Numeric formats ---- */

static void formats_round_as_the_specification_says(void) {
  for (uint32_t half = 0; half < 65536; half++) { /* every 16-bit value survives the way to FP32 and back */
    const bool fp16_nan = (half & 0x7fff) > 0x7c00, bf16_nan = (half & 0x7fff) > 0x7f80;
    CHECK_EQUAL(fp16_of_fp32(fp32_of_fp16((uint16_t)half)), fp16_nan ? FP16_CANONICAL_NAN : half);
    CHECK_EQUAL(bf16_of_fp32(fp32_of_bf16((uint16_t)half)), bf16_nan ? BF16_CANONICAL_NAN : half);
  }
  CHECK_EQUAL(fp16_of_fp32(65519.996f), 0x7bff);
  CHECK_EQUAL(fp16_of_fp32(65520.0f), 0x7c00);
  CHECK_EQUAL(fp16_of_fp32(0x1p-25f), 0);
  CHECK_EQUAL(fp16_of_fp32(nextafterf(0x1p-25f, 1)), 1);
  CHECK_EQUAL(fp16_of_fp32(-0x1.8p-24f), 0x8002); /* a tie goes to even */
  CHECK_EQUAL((uint32_t)int32_of_fp32(2.5f), 2);
  CHECK_EQUAL((uint32_t)int32_of_fp32(-3.5f), (uint32_t)-4);
  CHECK_EQUAL((uint32_t)int32_of_fp32(3e9f), INT32_MAX);
  CHECK_EQUAL((uint32_t)int32_of_fp32(-INFINITY), (uint32_t)INT32_MIN);
  CHECK_EQUAL((uint32_t)int32_of_fp32(NAN), 0);
  CHECK_EQUAL((uint32_t)int8_of_fp32(127.5f), 127);
  CHECK_EQUAL((uint32_t)int8_of_fp32(-200), (uint32_t)-128);
}

/* ---- Lookup tables; matmul_test.c compares the paths ---- */

static void make_table(uint8_t *bytes, uint32_t segments, uint32_t degree, struct random *random) {
  const float low = -6, high = 6;
  struct mtia_se_table head = {fp32_bits(low), fp32_bits(high), fp32_bits((float)segments / (high - low)),
                               fp32_bits(-1), 0x7fc12345, segments, degree, 0};
  memcpy(bytes, &head, sizeof head);
  for (uint32_t i = 0; i < segments * (degree + 1); i++) {
    const float value = random_float(random);
    memcpy(bytes + sizeof head + i * 4, &value, 4);
  }
}

static bool same_floats(const float *a, const float *b, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (fp32_bits(fp32_canonical(a[i])) != fp32_bits(fp32_canonical(b[i]))) {
      printf("  element %u: %08x, not %08x\n", i, fp32_bits(a[i]), fp32_bits(b[i]));
      return false;
    }
  return true;
}

static void tables_are_evaluated_step_by_step(void) {
  uint8_t bytes[MTIA_LIMIT_SE_TABLE_BYTES];
  struct random random = {7};
  struct se_table table;
  make_table(bytes, 24, 3, &random);
  CHECK(se_table_load(&table, bytes, 32 + 24 * 16));
  for (uint32_t i = 0; i < 24 * 4; i++) table.coefficients[i] = (float)(int32_t)random_next(&random) * 0x1p-31f;
  CHECK(!se_table_load(&table, bytes, 32 + 24 * 16 - 1));
  float values[] = {-7, -6, 0.3f, 5.999999f, 6, NAN, INFINITY, -INFINITY};
  const float u = (0.3f - -6.0f) * 2.0f, t = u - 12.0f;
  const float *const c = &table.coefficients[12 * 4];
  float expected = t * c[3];
  expected = c[2] + expected;
  expected = t * expected;
  expected = c[1] + expected;
  expected = t * expected;
  expected = c[0] + expected;
  se_portable.table(values, 8, &table);
  CHECK_EQUAL(fp32_bits(values[0]), fp32_bits(-1));
  CHECK_EQUAL(fp32_bits(values[1]), fp32_bits(table.coefficients[0]));
  CHECK(same_floats(&values[2], &expected, 1));
  CHECK(isnan(values[4]) && isnan(values[5]) && isnan(values[6])); /* `above` is a NaN in this table */
  CHECK_EQUAL(fp32_bits(values[7]), fp32_bits(-1));
  /* A scale that pushes u past the last segment must not read beyond the coefficients. */
  table.scale = 1e30f;
  values[0] = 5;
  se_portable.table(values, 1, &table);
  table.scale = NAN;
  se_portable.table(values, 1, &table);
}

/* ---- Commands of the SIMD engine ---- */

#define SOURCE 0u
#define SECOND 65536u
#define DESTINATION 131072u
#define BUFFER 65536u

static struct fixture *unit_fixture(uint32_t path) {
  struct fixture *const f = fixture_create(2, path);
  cb_init(f, 0, SOURCE, BUFFER);
  cb_init(f, 1, SECOND, BUFFER);
  cb_init(f, 2, DESTINATION, BUFFER);
  cb_push(f, 0, BUFFER);
  cb_push(f, 1, BUFFER);
  return f;
}

static void set_se(struct fixture *f, uint32_t rows, uint32_t elements, uint32_t first, uint32_t second, uint32_t destination) {
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_SHAPE, (uint64_t)elements << 16 | rows);
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_SOURCE_STRIDE, (uint64_t)second << 32 | first);
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_DESTINATION_STRIDE, destination);
}

static void se_unary_converts_between_all_types(void) {
  struct fixture *const f = unit_fixture(0);
  struct random random = {3};
  for (uint32_t pair = 0; pair < 50; pair++) {
    const uint32_t in = pair % 5, out = pair / 5 % 5, relu = pair / 25;
    const uint32_t rows = 1 + pair % 7, elements = 1 + (uint32_t)random_next(&random) % 700;
    const uint32_t in_stride = elements * data_type_bytes(in) + pair % 3;
    const uint32_t out_stride = elements * data_type_bytes(out) + pair % 2;
    fill(local(f, SOURCE), in, BUFFER / data_type_bytes(in), &random);
    set_se(f, rows, elements, in_stride, 0, out_stride);
    CHECK(issue(f, 0, MTIA_COMMAND_SE_UNARY,
                FIELD(MTIA_SE_UNARY_CB_DESTINATION, 2) | FIELD(MTIA_SE_UNARY_FUNCTION, relu) | FIELD(MTIA_SE_UNARY_TYPE_IN, in) |
                    FIELD(MTIA_SE_UNARY_TYPE_OUT, out) | FIELD(MTIA_SE_UNARY_SOURCE_OFFSET, 40),
                24) == HART_CUSTOM_DONE);
    bool same = true;
    for (uint32_t row = 0; row < rows; row++)
      for (uint32_t i = 0; i < elements; i++) {
        const uint8_t *const from = local(f, SOURCE + 40 + row * in_stride + i * data_type_bytes(in));
        const uint8_t *const to = local(f, DESTINATION + 24 + row * out_stride + i * data_type_bytes(out));
        float value = load_one(in, from);
        int32_t word;
        uint8_t expected[4];
        if (relu && value <= 0) value = 0;
        store_one(out, expected, value);
        memcpy(&word, from, in == MTIA_TYPE_INT32 ? 4 : 1);
        if (relu && word < 0) word = 0;
        if (in == MTIA_TYPE_INT32 && out == MTIA_TYPE_INT32) memcpy(expected, &word, 4); /* never becomes FP32 */
        same = same && memcmp(to, expected, data_type_bytes(out)) == 0;
      }
    CHECK(same);
  }
  fixture_destroy(f);
}

static float operate(uint32_t operation, float a, float b) {
  const float results[] = {a + b, a - b, a * b, a > b || a != a ? a : b, a < b || a != a ? a : b};
  return results[operation];
}

static void se_binary_operates_on_pairs(void) {
  struct fixture *const f = unit_fixture(0);
  struct random random = {4};
  for (uint32_t trial = 0; trial < 50; trial++) {
    const uint32_t in = trial % 5, out = (trial + 2) % 5, operation = trial / 5 % 5, rows = 5, elements = 300 - trial;
    fill(local(f, SOURCE), in, BUFFER / data_type_bytes(in), &random);
    fill(local(f, SECOND), in, BUFFER / data_type_bytes(in), &random);
    set_se(f, rows, elements, 1200, trial % 2 == 0 ? 0 : 1201, 1300); /* stride 0: the same row for all */
    CHECK(issue(f, 0, MTIA_COMMAND_SE_BINARY,
                FIELD(MTIA_SE_BINARY_CB_DESTINATION, 2) | FIELD(MTIA_SE_BINARY_OPERATION, operation) |
                    FIELD(MTIA_SE_BINARY_TYPE_IN, in) | FIELD(MTIA_SE_BINARY_TYPE_OUT, out) |
                    FIELD(MTIA_SE_BINARY_FIRST_OFFSET, 8),
                16 | FIELD(MTIA_SE_BINARY_SECOND_OFFSET, 12) | FIELD(MTIA_SE_BINARY_CB_SECOND, 1)) == HART_CUSTOM_DONE);
    bool same = true;
    for (uint32_t row = 0; row < rows; row++)
      for (uint32_t i = 0; i < elements; i++) {
        const uint32_t at = i * data_type_bytes(in);
        const float a = load_one(in, local(f, SOURCE + 8 + row * 1200 + at));
        const float b = load_one(in, local(f, SECOND + 12 + row * (trial % 2 == 0 ? 0 : 1201) + at));
        uint8_t expected[4];
        store_one(out, expected, operate(operation, a, b));
        const uint8_t *const to = local(f, DESTINATION + 16 + row * 1300 + i * data_type_bytes(out));
        same = same && memcmp(to, expected, data_type_bytes(out)) == 0;
      }
    CHECK(same);
  }
  fixture_destroy(f);
}

static void se_row_accumulate_adds_in_row_order(void) {
  struct fixture *const f = unit_fixture(0);
  struct random random = {5};
  for (uint32_t trial = 0; trial < 40; trial++) {
    const uint32_t in = trial % 5, accumulate = trial & 1, out = accumulate ? MTIA_TYPE_FP32 : trial / 5 % 5;
    const uint32_t rows = trial < 2 ? 1 : 1 + (uint32_t)random_next(&random) % 128;
    const uint32_t elements = 1 + (uint32_t)random_next(&random) % 100;
    float first[128];
    for (uint32_t i = 0; i < 100; i++) first[i] = random_float(&random);
    memcpy(local(f, DESTINATION), first, sizeof first);
    fill(local(f, SOURCE), in, BUFFER / data_type_bytes(in), &random);
    set_se(f, rows, elements, 404, 0, 0);
    CHECK(issue(f, 0, MTIA_COMMAND_SE_ROW_ACCUMULATE,
                FIELD(MTIA_SE_ROW_ACCUMULATE_CB_DESTINATION, 2) | FIELD(MTIA_SE_ROW_ACCUMULATE_ACCUMULATE, accumulate) |
                    FIELD(MTIA_SE_ROW_ACCUMULATE_TYPE_IN, in) | FIELD(MTIA_SE_ROW_ACCUMULATE_TYPE_OUT, out),
                0) == HART_CUSTOM_DONE);
    bool same = true;
    for (uint32_t i = 0; i < elements; i++) {
      float sum = accumulate ? first[i] : load_one(in, local(f, SOURCE + i * data_type_bytes(in)));
      uint8_t expected[4];
      for (uint32_t row = !accumulate; row < rows; row++)
        sum += load_one(in, local(f, SOURCE + row * 404 + i * data_type_bytes(in)));
      store_one(out, expected, sum);
      same = same && memcmp(local(f, DESTINATION + i * data_type_bytes(out)), expected, data_type_bytes(out)) == 0;
    }
    CHECK(same);
  }
  fixture_destroy(f);
}

/* ---- Dot-product and reduction engine ---- */

/* shape: m, n, bytes of k, type, blocks */
static void reference_product(struct fixture *f, union accumulator *sum, uint32_t a, uint32_t b_at, uint32_t shape[5],
                              uint32_t stride) {
  static uint8_t b[64 * 2048];
  struct matmul_operands operands = {.b = b, .m = shape[0], .n = shape[1], .k_bytes = shape[2], .blocks = shape[4]};
  for (uint32_t row = 0; row < shape[0]; row++) operands.a[row] = local(f, a + row * stride);
  for (uint32_t i = 0; i < shape[4] * shape[2] * 32; i++) b[i] = *local(f, SECOND + (b_at + i) % BUFFER);
  matmul_function *const function = shape[3] == MTIA_TYPE_INT8   ? matmul_portable.int8
                                    : shape[3] == MTIA_TYPE_FP16 ? matmul_portable.fp16
                                                                 : matmul_portable.bf16;
  function(sum, &operands);
}

static void mml_and_reduce_compute_the_reference(void) {
  static const uint32_t types[] = {MTIA_TYPE_INT8, MTIA_TYPE_FP16, MTIA_TYPE_BF16};
  static const uint32_t outputs[] = {MTIA_TYPE_FP32, MTIA_TYPE_BF16, MTIA_TYPE_FP16, MTIA_TYPE_INT32};
  struct random random = {6};
  for (uint32_t trial = 0; trial < 60; trial++) {
    struct fixture *const f = unit_fixture(trial & 1 ? MTIA_MATMUL_FASTEST : MTIA_MATMUL_PORTABLE);
    const uint32_t type = types[trial % 3], blocks = 1 + trial % 9;
    const uint32_t output = outputs[trial % (type == MTIA_TYPE_INT8 ? 4 : 3)];
    uint32_t shape[5] = {1 + (uint32_t)random_next(&random) % 32, 1 + (uint32_t)random_next(&random) % 32,
                         trial % 5 == 0 ? 32 : 64, type, blocks};
    const uint32_t stride = 64 * 9 + 4;
    fill(local(f, SOURCE), type, BUFFER / data_type_bytes(type), &random);
    fill(local(f, SECOND), type, BUFFER / data_type_bytes(type), &random);
    /* B begins 256 bytes before the end of its buffer: it goes around between two rows. */
    issue(f, 0, MTIA_COMMAND_CB_POP, 1, BUFFER - 256);
    cb_push(f, 1, BUFFER - 256);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MML_STRIDE, stride);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MML_SHAPE,
                 FIELD(MTIA_MML_M, shape[0]) | FIELD(MTIA_MML_N, shape[1]) | FIELD(MTIA_MML_K_BYTES, shape[2]) |
                     FIELD(MTIA_MML_TYPE, type) | FIELD(MTIA_MML_K_BLOCKS, blocks));
    CHECK(issue(f, 0, MTIA_COMMAND_ACC_INIT, 3 | FIELD(MTIA_ACC_INIT_BIAS, 1) | FIELD(MTIA_ACC_INIT_OFFSET, 20), shape[1]) ==
          HART_CUSTOM_DONE);
    CHECK(issue(f, 0, MTIA_COMMAND_MML, 3 | FIELD(MTIA_MML_CB_B, 1) | FIELD(MTIA_MML_OFFSET_A, 4), trial % 2 ? 0 : 128) ==
          HART_CUSTOM_DONE);
    const uint32_t relu = trial % 4 == 3, row_bytes = shape[1] * data_type_bytes(output);
    CHECK(issue(f, 0, MTIA_COMMAND_REDUCE,
                3 | FIELD(MTIA_REDUCE_CB, 2) | FIELD(MTIA_REDUCE_FUNCTION, relu) | FIELD(MTIA_REDUCE_TYPE, output) |
                    FIELD(MTIA_REDUCE_OFFSET, 96),
                FIELD(MTIA_REDUCE_ROWS, shape[0]) | FIELD(MTIA_REDUCE_COLUMNS, shape[1]) |
                    FIELD(MTIA_REDUCE_STRIDE, row_bytes + 5)) == HART_CUSTOM_DONE);
    union accumulator sum;
    memset(&sum, 0, sizeof sum);
    for (uint32_t row = 0; row < 32; row++) memcpy(sum.int32[row], local(f, SOURCE + 20), shape[1] * 4);
    reference_product(f, &sum, SOURCE + 4, BUFFER - 256 + (trial % 2 ? 0 : 128), shape, stride);
    bool same = true;
    for (uint32_t row = 0; row < shape[0]; row++)
      for (uint32_t n = 0; n < shape[1]; n++) {
        float value = type == MTIA_TYPE_INT8 ? (float)sum.int32[row][n] : sum.fp32[row][n];
        int32_t word = sum.int32[row][n];
        uint8_t expected[4];
        if (relu && value <= 0) value = 0;
        if (relu && word < 0) word = 0;
        store_one(output, expected, value);
        if (output == MTIA_TYPE_INT32) memcpy(expected, &word, 4);
        same = same && memcmp(local(f, DESTINATION + 96 + row * (row_bytes + 5) + n * data_type_bytes(output)), expected,
                              data_type_bytes(output)) == 0;
      }
    CHECK(same);
    if (!same) printf("  trial %u: type %u, m %u n %u k %u blocks %u\n", trial, type, shape[0], shape[1], shape[2], blocks);
    fixture_destroy(f);
  }
}

static void reduce_knows_what_an_accumulator_holds(void) {
  struct fixture *const f = unit_fixture(0);
  const uint64_t shape = FIELD(MTIA_REDUCE_ROWS, 32) | FIELD(MTIA_REDUCE_COLUMNS, 32) | FIELD(MTIA_REDUCE_STRIDE, 128);
  const uint64_t to_int32 = FIELD(MTIA_REDUCE_CB, 2) | FIELD(MTIA_REDUCE_TYPE, MTIA_TYPE_INT32);
  set_register(f, 0, MTIA_COMMAND_REGISTER_MML_STRIDE, 64);
  set_register(f, 0, MTIA_COMMAND_REGISTER_MML_SHAPE,
               FIELD(MTIA_MML_M, 32) | FIELD(MTIA_MML_N, 32) | FIELD(MTIA_MML_K_BYTES, 64) |
                   FIELD(MTIA_MML_TYPE, MTIA_TYPE_FP16) | FIELD(MTIA_MML_K_BLOCKS, 1));
  CHECK(issue(f, 0, MTIA_COMMAND_REDUCE, to_int32, shape) == HART_CUSTOM_DONE);
  issue(f, 0, MTIA_COMMAND_MML, FIELD(MTIA_MML_CB_B, 1), 0);
  CHECK(was_illegal(f, issue(f, 0, MTIA_COMMAND_REDUCE, to_int32, shape), MTIA_COMMAND_REDUCE, MTIA_REDUCE_TYPE_FIELD));
  issue(f, 0, MTIA_COMMAND_ACC_INIT, 0, 0);
  CHECK(issue(f, 0, MTIA_COMMAND_REDUCE, to_int32, shape) == HART_CUSTOM_DONE);
  fixture_destroy(f);
}

/* ---- Memory layout unit ---- */

static void mlu_moves_elements(void) {
  struct fixture *const f = unit_fixture(0);
  struct random random = {8};
  for (uint32_t trial = 0; trial < 120; trial++) {
    const uint32_t bytes = 1u << trial % 3, transpose = trial / 3 & 1, step = trial < 80 ? 1 : 1 + trial % 4;
    const uint32_t rows = 1 + (uint32_t)random_next(&random) % 60, elements = 1 + (uint32_t)random_next(&random) % 60;
    const uint32_t from = elements * step * bytes + trial % 5, to = (transpose ? rows : elements) * bytes + trial % 4;
    fill(local(f, SOURCE), MTIA_TYPE_INT8, BUFFER, &random);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MLU_SHAPE, (uint64_t)(step - 1) << 40 | (uint64_t)bytes * 8 << 32 | (uint64_t)elements << 16 | rows);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MLU_SOURCE_STRIDE, from);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MLU_DESTINATION_STRIDE, to);
    CHECK(issue(f, 0, transpose ? MTIA_COMMAND_MLU_TRANSPOSE : MTIA_COMMAND_MLU_COPY,
                FIELD(MTIA_MLU_COPY_CB_DESTINATION, 2) | FIELD(MTIA_MLU_COPY_SOURCE_OFFSET, 3), 7) == HART_CUSTOM_DONE);
    bool same = true;
    for (uint32_t row = 0; row < rows; row++)
      for (uint32_t i = 0; i < elements; i++)
        same = same && memcmp(local(f, SOURCE + 3 + row * from + i * step * bytes),
                              local(f, DESTINATION + 7 + (transpose ? i * to + row * bytes : row * to + i * bytes)), bytes) == 0;
    CHECK(same);
  }
  fixture_destroy(f);
}

void test_units(void) {
  RUN(formats_round_as_the_specification_says);
  RUN(tables_are_evaluated_step_by_step);
  RUN(se_unary_converts_between_all_types);
  RUN(se_binary_operates_on_pairs);
  RUN(se_row_accumulate_adds_in_row_order);
  RUN(mml_and_reduce_compute_the_reference);
  RUN(reduce_knows_what_an_accumulator_holds);
  RUN(mlu_moves_elements);
}
