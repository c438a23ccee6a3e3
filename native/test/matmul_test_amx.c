/*
 * matmul_amx.c on tiles in C, since few hosts have AMX: the instructions do what Intel's manual says (TILELOADD, TILESTORED,
 * TDPBSSD, TDPBF16PS, with the faults of the last two), and the path above them must give the bits of the portable one.
 */
#include "pe_test.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include "arithmetic_check.h"
#include "numeric_format.h"

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#undef _tile_dpbf16ps
#define _tile_loadconfig model_configure
#define _tile_release model_release
#define _tile_loadd model_load
#define _tile_stored model_store
#define _tile_dpbssd model_multiply_int8
#define _tile_dpbf16ps model_multiply_bf16
#define matmul_amx matmul_amx_model
#define matmul_amx_permitted matmul_amx_model_permitted

struct model_tile { uint32_t rows, row_bytes; uint8_t data[16][64]; };
static struct model_tile model_tiles[8];
static uint32_t model_faults;

static void model_configure(const void *configuration) {
  const uint8_t *const bytes = configuration;
  if (bytes[0] != 1 || bytes[1] != 0) model_faults++;
  memset(model_tiles, 0, sizeof model_tiles);
  for (uint32_t tile = 0; tile < 8; tile++) {
    uint16_t row_bytes;
    memcpy(&row_bytes, bytes + 16 + 2 * tile, sizeof row_bytes);
    model_tiles[tile].rows = bytes[48 + tile];
    model_tiles[tile].row_bytes = row_bytes;
    if (row_bytes > 64 || bytes[48 + tile] > 16 || (row_bytes == 0) != (bytes[48 + tile] == 0)) model_faults++;
  }
}

static void model_release(void) { memset(model_tiles, 0, sizeof model_tiles); }

static void model_load(uint32_t tile, const void *base, long stride) {
  struct model_tile *const to = &model_tiles[tile];
  if (to->rows == 0) model_faults++;
  memset(to->data, 0, sizeof to->data);
  for (uint32_t row = 0; row < to->rows; row++)
    memcpy(to->data[row], (const uint8_t *)base + stride * (long)row, to->row_bytes);
}

static void model_store(uint32_t tile, void *base, long stride) {
  const struct model_tile *const from = &model_tiles[tile];
  if (from->rows == 0) model_faults++;
  for (uint32_t row = 0; row < from->rows; row++) memcpy((uint8_t *)base + stride * (long)row, from->data[row], from->row_bytes);
}

static bool model_fits(const struct model_tile *sum, const struct model_tile *a, const struct model_tile *b) {
  const bool fits = sum->rows != 0 && sum->rows == a->rows && sum->row_bytes == b->row_bytes && a->row_bytes == b->rows * 4 &&
                    sum->row_bytes % 4 == 0;
  if (!fits) model_faults++;
  return fits;
}

static void model_multiply_int8(uint32_t to, uint32_t left, uint32_t right) {
  struct model_tile *const sum = &model_tiles[to];
  const struct model_tile *const a = &model_tiles[left], *const b = &model_tiles[right];
  if (!model_fits(sum, a, b)) return;
  for (uint32_t m = 0; m < sum->rows; m++)
    for (uint32_t k = 0; k < a->row_bytes; k++)
      for (uint32_t n = 0; n < sum->row_bytes / 4; n++) {
        uint32_t value;
        memcpy(&value, &sum->data[m][n * 4], sizeof value);
        value += (uint32_t)((int8_t)a->data[m][k] * (int8_t)b->data[k / 4][n * 4 + k % 4]);
        memcpy(&sum->data[m][n * 4], &value, sizeof value);
      }
}

static __m128 model_bf16(const uint8_t *at) {
  uint16_t bits;
  memcpy(&bits, at, sizeof bits);
  return _mm_set_ss(fp32_of_bf16(bits));
}

/* Denormals are zero, rounding is to nearest, whatever MXCSR says. */
__attribute__((target("fma"))) static void model_multiply_bf16(uint32_t to, uint32_t left, uint32_t right) {
  struct model_tile *const sum = &model_tiles[to];
  const struct model_tile *const a = &model_tiles[left], *const b = &model_tiles[right];
  if (!model_fits(sum, a, b)) return;
  const unsigned int saved = _mm_getcsr();
  _mm_setcsr(0x1f80u | 0x8040u);
  for (uint32_t m = 0; m < sum->rows; m++)
    for (uint32_t n = 0; n < sum->row_bytes / 4; n++) {
      __m128 chain[2] = {_mm_setzero_ps(), _mm_setzero_ps()};
      for (uint32_t k = 0; k < a->row_bytes / 2; k++)
        chain[k % 2] = _mm_fmadd_ss(model_bf16(&a->data[m][k * 2]), model_bf16(&b->data[k / 2][n * 4 + k % 2 * 2]), chain[k % 2]);
      float value;
      memcpy(&value, &sum->data[m][n * 4], sizeof value);
      _mm_store_ss(&value, _mm_add_ss(_mm_set_ss(value), _mm_add_ss(chain[0], chain[1])));
      memcpy(&sum->data[m][n * 4], &value, sizeof value);
    }
  _mm_setcsr(saved);
}

#include "../src/arithmetic/matmul_amx.c"

void amx_code_is_right_on_modelled_tiles(void) {
  /* FP16 of this path is AVX-512's. */
  const struct matmul_path path = {"modelled amx", int8_amx, matmul_portable.fp16, bf16_amx};
  struct arithmetic_difference difference = {""};
  (void)matmul_amx_model;
  if (!__builtin_cpu_supports("fma")) return;
  CHECK(arithmetic_matmul_agrees(&path, test_seed, 300, &difference));
  if (difference.text[0] != 0) printf("  seed %llu: %s\n", (unsigned long long)test_seed, difference.text);
  CHECK_EQUAL(model_faults, 0);
}
#else
void amx_code_is_right_on_modelled_tiles(void) {}
#endif
