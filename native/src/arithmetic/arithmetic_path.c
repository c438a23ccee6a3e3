#include "arithmetic_path.h"
#include <stddef.h>
#include "mtia.h"
#include "arithmetic_check.h"
#include "matmul_amx.h"
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

/* Enough that every order of additions but the documented one shows; opening a device must not wait long for it. */
#define CHECK_SEED 0x4d544941u
#define CHECK_ROUNDS 48u

static bool always(void) { return true; }

#if defined(__x86_64__)
/* Clang's __builtin_cpu_supports does not know the name. */
static bool has_f16c(void) {
  uint32_t a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}

static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c(); }

static bool has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

static bool has_avx512_bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
static bool has_amx(void) { return has_avx512() && matmul_amx_permitted(); }
#elif defined(__aarch64__)
#define HWCAP_DOT_PRODUCT (1ul << 20) /* HWCAP_ASIMDDP */

static bool has_dot_product(void) { return (getauxval(AT_HWCAP) & HWCAP_DOT_PRODUCT) != 0; }
#endif

const struct arithmetic_path arithmetic_paths[] = {
#if defined(__x86_64__)
    {MTIA_MATMUL_AMX, "amx", has_amx, &matmul_amx, &se_avx512},
    {MTIA_MATMUL_AVX512, "avx512", has_avx512_bf16, &matmul_avx512_bf16, &se_avx512},
    {MTIA_MATMUL_AVX512, "avx512", has_avx512, &matmul_avx512, &se_avx512},
    {MTIA_MATMUL_AVX2, "avx2", has_avx2, &matmul_avx2, &se_avx2},
#elif defined(__aarch64__)
    {MTIA_MATMUL_NEON, "neon", has_dot_product, &matmul_neon_dot_product, &se_neon},
    {MTIA_MATMUL_NEON, "neon", always, &matmul_neon, &se_neon},
#endif
    {MTIA_MATMUL_PORTABLE, "portable", always, &matmul_portable, &se_portable},
};
const uint32_t arithmetic_path_count = sizeof arithmetic_paths / sizeof arithmetic_paths[0];

static bool works(const struct arithmetic_path *path) {
  if (path->number == MTIA_MATMUL_PORTABLE) return true;
  struct arithmetic_difference difference;
  return path->host_has_it() && arithmetic_matmul_agrees(path->matmul, CHECK_SEED, CHECK_ROUNDS, &difference) &&
         arithmetic_se_agrees(path->se, CHECK_SEED, CHECK_ROUNDS, &difference);
}

const struct arithmetic_path *arithmetic_path_select(uint32_t number) {
  for (uint32_t i = 0; i < arithmetic_path_count; i++) {
    const struct arithmetic_path *const path = &arithmetic_paths[i];
    if ((number == MTIA_MATMUL_FASTEST || number == path->number) && works(path)) return path;
  }
  return NULL;
}

uint32_t arithmetic_paths_here(void) {
  uint32_t found = 1u << MTIA_MATMUL_FASTEST;
  for (uint32_t i = 0; i < arithmetic_path_count; i++)
    if ((found >> arithmetic_paths[i].number & 1) == 0 && works(&arithmetic_paths[i])) found |= 1u << arithmetic_paths[i].number;
  return found;
}
