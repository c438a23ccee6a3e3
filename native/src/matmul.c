/* Which arithmetic of the dot-product engine this host can run. */
#include "matmul.h"
#include <stdbool.h>
#include <string.h>
#include "../include/mtia.h"
#include "pe.h"

#if defined(__x86_64__)
static bool has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

/*
 * VDPBF16PS adds its two products in an order that its manual leaves open. The path is used only where a block that is
 * sensitive to it gives the bits of the reference: large and small terms alternate, so any other order rounds differently.
 */
static bool bf16_order_is_ours(void) {
  static const uint16_t terms[8] = {0x4b80, 0x3f81, 0xcb80, 0x3f83, 0x3f85, 0x4b7f, 0xbf81, 0xcb7f};
  uint16_t a[32], b[16 * 64];
  for (uint32_t i = 0; i < 32; i++) a[i] = terms[(i * 5 + i / 7) % 8];
  for (uint32_t i = 0; i < 16 * 64; i++) b[i] = terms[(i * 3 + i / 11) % 8];
  union accumulator expected, found;
  memset(&expected, 0, sizeof expected);
  memset(&found, 0, sizeof found);
  struct matmul_operands operands = {.b = (const uint8_t *)b, .m = 1, .n = 32, .k_bytes = 64, .blocks = 1};
  operands.a[0] = (const uint8_t *)a;
  matmul_portable.bf16(&expected, &operands);
  matmul_avx512_bf16.bf16(&found, &operands);
  return memcmp(&expected, &found, sizeof expected) == 0;
}

static const struct matmul_path *fastest(void) {
  if (!has_avx512()) return &matmul_portable;
  if (__builtin_cpu_supports("avx512bf16") && bf16_order_is_ours()) return &matmul_avx512_bf16;
  return &matmul_avx512;
}
#else
static const struct matmul_path *fastest(void) { return &matmul_portable; }
#endif

const struct matmul_path *matmul_path_select(uint32_t matmul_path) {
  return matmul_path == MTIA_MATMUL_PORTABLE ? &matmul_portable : fastest();
}

const char *matmul_path_name(uint32_t matmul_path) { return matmul_path_select(matmul_path)->name; }
