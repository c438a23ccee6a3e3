/* Scales, row reductions and row ranges against one value at a time: docs/numerics.md. */
#include <math.h>
#include "../include/mtia.h"
#include "numeric_format.h"
#include "pe_test.h"

#define SOURCE 0u
#define VECTORS 65536u
#define DESTINATION 131072u
#define BUFFER 65536u
#define VECTOR(offset) ((uint64_t)(offset) << 32 | 1u << 8 | 1)

static struct fixture *quantize_fixture(uint32_t path) {
  struct fixture *const f = fixture_create(2, path);
  cb_init(f, 0, SOURCE, BUFFER);
  cb_init(f, 1, VECTORS, BUFFER);
  cb_init(f, 2, DESTINATION, BUFFER);
  cb_push(f, 0, BUFFER);
  cb_push(f, 1, BUFFER);
  return f;
}

static void set_se(struct fixture *f, uint32_t rows, uint32_t elements, uint32_t source, uint32_t destination) {
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_SHAPE, (uint64_t)elements << 16 | rows);
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_SOURCE_STRIDE, source);
  set_register(f, 0, MTIA_COMMAND_REGISTER_SE_DESTINATION_STRIDE, destination);
}

static float float_at(struct fixture *f, uint32_t at) {
  float value;
  memcpy(&value, local(f, at), sizeof value);
  return value;
}
static void put_float(struct fixture *f, uint32_t at, float value) { memcpy(local(f, at), &value, sizeof value); }

static void fill_floats(struct fixture *f, uint32_t at, uint32_t count, struct random *random) {
  for (uint32_t i = 0; i < count; i++) put_float(f, at + i * 4, random_float(random));
}

static bool same(float a, float b) { return fp32_bits(fp32_canonical(a)) == fp32_bits(fp32_canonical(b)); }

/* ---- SE_QUANTIZE ---- */

static int8_t quantized(float x, float scale) {
  float q = x * (1.0f / scale);
  if (q != q) return 0;
  if (q > 127) q = 127;
  if (q < -127) q = -127;
  return (int8_t)nearbyintf(q);
}

static void quantize(uint32_t path) {
  struct fixture *const f = quantize_fixture(path);
  struct random random = {21};
  for (uint32_t trial = 0; trial < 40; trial++) {
    const uint32_t rows = 1 + trial % 9, elements = 1 + (uint32_t)random_next(&random) % 600, per_row = trial & 1;
    const uint32_t stride = elements * 4 + trial % 3;
    set_se(f, rows, elements, stride, elements + trial % 5);
    for (uint32_t row = 0; row < rows; row++) {
      fill_floats(f, SOURCE + 8 + row * stride, elements, &random);
      put_float(f, VECTORS + 20 + row * 4, trial < 20 ? 0.01f * (float)(row + 1) : random_float(&random));
    }
    CHECK(issue(f, 0, MTIA_COMMAND_SE_QUANTIZE,
                FIELD(MTIA_SE_QUANTIZE_CB_DESTINATION, 2) | FIELD(MTIA_SE_QUANTIZE_PER_ROW, per_row) |
                    FIELD(MTIA_SE_QUANTIZE_TYPE_IN, MTIA_TYPE_FP32) | FIELD(MTIA_SE_QUANTIZE_SOURCE_OFFSET, 8),
                FIELD(MTIA_SE_QUANTIZE_DESTINATION_OFFSET, 3) | FIELD(MTIA_SE_QUANTIZE_SCALE_OFFSET, 20) |
                    FIELD(MTIA_SE_QUANTIZE_CB_SCALE, 1)) == HART_CUSTOM_DONE);
    bool good = true;
    for (uint32_t row = 0; row < rows; row++)
      for (uint32_t i = 0; i < elements; i++) {
        const float scale = float_at(f, VECTORS + 20 + (per_row ? row : 0) * 4);
        const int8_t found = (int8_t)*local(f, DESTINATION + 3 + row * (elements + trial % 5) + i);
        good = good && found == quantized(float_at(f, SOURCE + 8 + row * stride + i * 4), scale);
      }
    CHECK(good);
  }
  fixture_destroy(f);
}

static void se_quantize_scales_rounds_and_saturates(void) {
  quantize(MTIA_MATMUL_PORTABLE);
  quantize(MTIA_MATMUL_FASTEST);
  CHECK_EQUAL(quantized(-1e30f, 1), -127); /* the definition above is what the document says */
  CHECK_EQUAL(quantized(NAN, 1), 0);
  CHECK_EQUAL(quantized(0, 0), 0);
  CHECK_EQUAL(quantized(2.5f, 1), 2);
}

/* ---- SE_DEQUANTIZE and REDUCE_DEQUANTIZE ---- */

enum { ROW_SCALES = 0, COLUMN_SCALES = 512, BIASES = 4096 };

static void set_vectors(struct fixture *f, uint32_t used) {
  set_register(f, 0, MTIA_COMMAND_REGISTER_ROW_SCALE, used & 1 ? VECTOR(ROW_SCALES) : 0);
  set_register(f, 0, MTIA_COMMAND_REGISTER_COLUMN_SCALE, used & 2 ? VECTOR(COLUMN_SCALES) : 0);
  set_register(f, 0, MTIA_COMMAND_REGISTER_COLUMN_BIAS, used & 4 ? VECTOR(BIASES) : 0);
}

static float dequantized(struct fixture *f, float value, uint32_t used, uint32_t row, uint32_t column) {
  if (used & 1) value *= float_at(f, VECTORS + ROW_SCALES + row * 4);
  if (used & 2) value *= float_at(f, VECTORS + COLUMN_SCALES + column * 4);
  if (used & 4) value += float_at(f, VECTORS + BIASES + column * 4);
  return value;
}

static void dequantize(uint32_t path) {
  struct fixture *const f = quantize_fixture(path);
  struct random random = {22};
  for (uint32_t trial = 0; trial < 64; trial++) {
    const uint32_t used = trial % 8, rows = 1 + trial % 17, elements = 1 + (uint32_t)random_next(&random) % 700;
    const uint32_t from_int8 = trial & 8, in_bytes = from_int8 ? 1 : 4;
    fill_floats(f, VECTORS, 2048, &random);
    for (uint32_t i = 0; i < BUFFER / 4; i++) {
      const uint32_t bits = (uint32_t)random_next(&random) >> (trial % 3 * 8);
      memcpy(local(f, SOURCE + i * 4), &bits, 4);
    }
    set_vectors(f, used);
    set_se(f, rows, elements, elements * in_bytes, elements * 4);
    CHECK(issue(f, 0, MTIA_COMMAND_SE_DEQUANTIZE,
                FIELD(MTIA_SE_DEQUANTIZE_CB_DESTINATION, 2) | FIELD(MTIA_SE_DEQUANTIZE_FUNCTION, MTIA_SE_RELU) |
                    FIELD(MTIA_SE_DEQUANTIZE_TYPE_IN, from_int8 ? MTIA_TYPE_INT8 : MTIA_TYPE_INT32) |
                    FIELD(MTIA_SE_DEQUANTIZE_TYPE_OUT, MTIA_TYPE_FP32),
                0) == HART_CUSTOM_DONE);
    bool good = true;
    for (uint32_t row = 0; row < rows; row++)
      for (uint32_t i = 0; i < elements; i++) {
        int32_t word;
        const uint8_t *const at = local(f, SOURCE + (row * elements + i) * in_bytes);
        memcpy(&word, at, in_bytes);
        const float value = dequantized(f, from_int8 ? (float)(int8_t)*at : (float)word, used, row, i);
        const float expected = value > 0 || value != value ? value : 0;
        good = good && same(float_at(f, DESTINATION + (row * elements + i) * 4), expected);
      }
    CHECK(good);
  }
  fixture_destroy(f);
}

static void se_dequantize_scales_rows_and_columns(void) {
  dequantize(MTIA_MATMUL_PORTABLE);
  dequantize(MTIA_MATMUL_FASTEST);
}

static void reduce_dequantize(uint32_t path) {
  struct fixture *const f = quantize_fixture(path);
  struct random random = {23};
  for (uint32_t trial = 0; trial < 32; trial++) {
    const uint32_t used = trial % 8, m = 1 + (uint32_t)random_next(&random) % 32, n = 1 + (uint32_t)random_next(&random) % 32;
    const uint32_t int8 = trial / 8 & 1;
    fill_floats(f, VECTORS, 2048, &random);
    for (uint32_t i = 0; i < BUFFER; i += 8) *(uint64_t *)(void *)local(f, SOURCE + i) = random_next(&random);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MML_STRIDE, 64);
    set_register(f, 0, MTIA_COMMAND_REGISTER_MML_SHAPE,
                 FIELD(MTIA_MML_M, m) | FIELD(MTIA_MML_N, n) | FIELD(MTIA_MML_K_BYTES, 64) |
                     FIELD(MTIA_MML_TYPE, int8 ? MTIA_TYPE_INT8 : MTIA_TYPE_BF16) | FIELD(MTIA_MML_K_BLOCKS, 1));
    issue(f, 0, MTIA_COMMAND_ACC_INIT, 1, 0);
    CHECK(issue(f, 0, MTIA_COMMAND_MML, 1, 32768) == HART_CUSTOM_DONE); /* both operands from buffer 0 */
    set_vectors(f, used);
    CHECK(issue(f, 0, MTIA_COMMAND_REDUCE_DEQUANTIZE,
                1 | FIELD(MTIA_REDUCE_CB, 2) | FIELD(MTIA_REDUCE_TYPE, MTIA_TYPE_BF16),
                FIELD(MTIA_REDUCE_ROWS, m) | FIELD(MTIA_REDUCE_COLUMNS, n) | FIELD(MTIA_REDUCE_STRIDE, 70)) ==
          HART_CUSTOM_DONE);
    bool good = true;
    for (uint32_t row = 0; row < m; row++)
      for (uint32_t i = 0; i < n; i++) {
        const union accumulator *const sum = &f->pe->accumulators[1];
        uint16_t found;
        memcpy(&found, local(f, DESTINATION + row * 70 + i * 2), sizeof found);
        const float value = int8 ? (float)sum->int32[row][i] : sum->fp32[row][i];
        good = good && found == bf16_of_fp32(dequantized(f, value, used, row, i));
      }
    CHECK(good);
  }
  fixture_destroy(f);
}

static void reduce_dequantize_scales_an_accumulator(void) {
  reduce_dequantize(MTIA_MATMUL_PORTABLE);
  reduce_dequantize(MTIA_MATMUL_FASTEST);
}

static void vectors_are_waited_for(void) {
  struct fixture *const f = fixture_create(2, 0);
  cb_init(f, 0, SOURCE, BUFFER);
  cb_init(f, 1, VECTORS, BUFFER);
  cb_init(f, 2, DESTINATION, BUFFER);
  cb_push(f, 0, 64);
  set_vectors(f, 1);
  set_se(f, 4, 4, 16, 16);
  CHECK(issue(f, 0, MTIA_COMMAND_SE_DEQUANTIZE,
              FIELD(MTIA_SE_DEQUANTIZE_CB_DESTINATION, 2) | FIELD(MTIA_SE_DEQUANTIZE_TYPE_IN, MTIA_TYPE_INT32) |
                  FIELD(MTIA_SE_DEQUANTIZE_TYPE_OUT, MTIA_TYPE_FP32),
              0) == HART_CUSTOM_DONE);
  CHECK_EQUAL(f->pe->cp.pending[0].count, 1);
  CHECK(issue(f, 1, MTIA_COMMAND_CB_PUSH, 1, 16) == HART_CUSTOM_DONE); /* the other hart: this one's push would keep its place */
  CHECK_EQUAL(f->pe->cp.pending[0].count, 0);
  fixture_destroy(f);
}

/* ---- SE_ROW_REDUCE ---- */

/* What docs/numerics.md says: -0 below +0, and a NaN wins. */
static float larger(float a, float b) {
  if (a != a || b != b) return NAN;
  return a == b ? (signbit(a) ? b : a) : a > b ? a : b;
}
static float row_result(uint32_t operation, const float *values, uint32_t count, const float *merged) {
  float lane[32] = {0};
  float result = operation == MTIA_SE_ROW_OPERATION_MINIMUM ? INFINITY : operation == MTIA_SE_ROW_OPERATION_MAXIMUM ? -INFINITY : 0;
  for (uint32_t i = 0; i < count; i++) {
    if (operation == MTIA_SE_ROW_OPERATION_MAXIMUM) result = larger(result, values[i]);
    if (operation == MTIA_SE_ROW_OPERATION_MINIMUM) result = -larger(-result, -values[i]);
    if (operation == MTIA_SE_ROW_OPERATION_ABSOLUTE_MAXIMUM) result = larger(result, fabsf(values[i]));
    lane[i % 32] += values[i];
  }
  if (operation == MTIA_SE_ROW_OPERATION_SUM) {
    for (uint32_t half = 16; half != 0; half /= 2)
      for (uint32_t i = 0; i < half; i++) lane[i] += lane[i + half];
    return merged == NULL ? lane[0] : *merged + lane[0];
  }
  if (merged == NULL) return result;
  const float with[2] = {result, *merged};
  return row_result(operation, with, 2, NULL);
}

static void row_reduce(uint32_t path) {
  struct fixture *const f = quantize_fixture(path);
  struct random random = {24};
  static float values[700];
  for (uint32_t trial = 0; trial < 80; trial++) {
    const uint32_t operation = trial % 4, merge = trial / 4 & 1, rows = 1 + trial % 7;
    const uint32_t elements = trial < 8 ? 1 : 1 + (uint32_t)random_next(&random) % 700;
    for (uint32_t row = 0; row < rows; row++)
      for (uint32_t i = 0; i < elements; i++) {
        const float value = trial % 3 == 0 ? random_float(&random) : (float)(int32_t)random_next(&random) * 0x1p-20f;
        put_float(f, SOURCE + row * 2800 + i * 4, trial % 5 == 4 ? copysignf(0, value) : value);
      }
    float before[8];
    for (uint32_t row = 0; row < 8; row++) put_float(f, DESTINATION + row * 12, before[row] = random_float(&random));
    set_se(f, rows, elements, 2800, 12);
    CHECK(issue(f, 0, MTIA_COMMAND_SE_ROW_REDUCE,
                FIELD(MTIA_SE_ROW_REDUCE_CB_DESTINATION, 2) | FIELD(MTIA_SE_ROW_REDUCE_OPERATION, operation) |
                    FIELD(MTIA_SE_ROW_REDUCE_MERGE, merge) | FIELD(MTIA_SE_ROW_REDUCE_TYPE_IN, MTIA_TYPE_FP32),
                0) == HART_CUSTOM_DONE);
    for (uint32_t row = 0; row < rows; row++) {
      memcpy(values, local(f, SOURCE + row * 2800), elements * 4);
      const float found = float_at(f, DESTINATION + row * 12);
      CHECK(same(found, row_result(operation, values, elements, merge ? &before[row] : NULL)));
    }
  }
  fixture_destroy(f);
}

static void se_row_reduce_finds_extremes_and_sums(void) {
  row_reduce(MTIA_MATMUL_PORTABLE);
  row_reduce(MTIA_MATMUL_FASTEST);
}

/* ---- RE_ROW_RANGE ---- */

static void re_row_range_finds_both_ends(void) {
  struct fixture *const f = quantize_fixture(0);
  struct random random = {25};
  for (uint32_t trial = 0; trial < 24; trial++) {
    const uint32_t rows = 1 + trial % 32, columns = 1 + (uint32_t)random_next(&random) % 32, merge = trial & 1;
    const bool integers = trial & 2;
    float before[64], values[32];
    for (uint32_t i = 0; i < 64; i++) put_float(f, DESTINATION + i * 4, before[i] = random_float(&random));
    for (uint32_t row = 0; row < 32; row++)
      for (uint32_t n = 0; n < 32; n++)
        if (integers) f->pe->accumulators[2].int32[row][n] = (int32_t)random_next(&random);
        else f->pe->accumulators[2].fp32[row][n] = random_float(&random);
    f->pe->accumulator_states[2].content = integers ? CONTENT_INT32 : CONTENT_FP32;
    CHECK(issue(f, 0, MTIA_COMMAND_RE_ROW_RANGE,
                2 | FIELD(MTIA_RE_ROW_RANGE_CB, 2) | FIELD(MTIA_RE_ROW_RANGE_MERGE, merge),
                FIELD(MTIA_RE_ROW_RANGE_ROWS, rows) | FIELD(MTIA_RE_ROW_RANGE_COLUMNS, columns) |
                    FIELD(MTIA_RE_ROW_RANGE_STRIDE, 8)) == HART_CUSTOM_DONE);
    for (uint32_t row = 0; row < rows; row++) {
      for (uint32_t n = 0; n < columns; n++)
        values[n] = integers ? (float)f->pe->accumulators[2].int32[row][n] : f->pe->accumulators[2].fp32[row][n];
      for (uint32_t end = 0; end < 2; end++) {
        const uint32_t operation = end == 0 ? MTIA_SE_ROW_OPERATION_MINIMUM : MTIA_SE_ROW_OPERATION_MAXIMUM;
        float expected = row_result(operation, values, columns, NULL);
        if (merge) { /* a NaN in either of the two is in both results */
          const float all[3] = {expected, before[row * 2], before[row * 2 + 1]};
          expected = row_result(operation, all, 3, NULL);
        }
        CHECK(same(float_at(f, DESTINATION + row * 8 + end * 4), expected));
      }
    }
  }
  fixture_destroy(f);
}

/* A row of the accumulator a cycle, after the products and before what changes the accumulator again. */
static void re_row_range_takes_time_of_the_reduction_engine(void) {
  struct fixture *const f = quantize_fixture(0);
  const uint64_t before = f->pe->time.free[LINE_RE];
  f->pe->accumulator_states[0].sum_done = 1000;
  CHECK(issue(f, 0, MTIA_COMMAND_RE_ROW_RANGE, FIELD(MTIA_RE_ROW_RANGE_CB, 2),
              FIELD(MTIA_RE_ROW_RANGE_ROWS, 32) | FIELD(MTIA_RE_ROW_RANGE_COLUMNS, 32) |
                  FIELD(MTIA_RE_ROW_RANGE_STRIDE, 8)) == HART_CUSTOM_DONE);
  CHECK_EQUAL(before, 0);
  CHECK_EQUAL(f->pe->time.free[LINE_RE], 1032);
  CHECK_EQUAL(f->pe->accumulator_states[0].ready, 1032);
  CHECK_EQUAL(f->pe->time.free[LINE_SE], 0);
  fixture_destroy(f);
}

void test_quantize(void) {
  RUN(se_quantize_scales_rounds_and_saturates);
  RUN(se_dequantize_scales_rows_and_columns);
  RUN(reduce_dequantize_scales_an_accumulator);
  RUN(vectors_are_waited_for);
  RUN(se_row_reduce_finds_extremes_and_sums);
  RUN(re_row_range_finds_both_ends);
  RUN(re_row_range_takes_time_of_the_reduction_engine);
}
