#include "matmul_peak.h"
#include <pthread.h>
#include <stddef.h>
#include <time.h>
#include "generated/mtia_hw.h"

/* One call: `rounds` times CHAINS instructions that do not wait for each other. Returns the multiplications done. */
typedef uint64_t peak_loop(uint64_t rounds);

/* Enough independent sums to hide the latency of the instruction, few enough to stay in registers. */
#define CHAINS 12
#define UNROLL _Pragma("GCC unroll 16")

/* constraint: the register class of `vector`. What is hidden cannot be folded, what is used cannot be dropped. */
#define DEFINE_LOOP(name, attributes, vector, constraint, zero, step, multiplies)                    \
  attributes static uint64_t name(uint64_t rounds) {                                                 \
    vector sum[CHAINS], a = zero, b = zero;                                                          \
    __asm__ volatile("" : "+" constraint(a), "+" constraint(b));                                     \
    UNROLL for (int i = 0; i < CHAINS; i++) {                                                        \
      sum[i] = zero;                                                                                 \
      __asm__ volatile("" : "+" constraint(sum[i])); /* or all sums were one and the same */         \
    }                                                                                                \
    for (uint64_t round = 0; round < rounds; round++)                                                \
      UNROLL for (int i = 0; i < CHAINS; i++) sum[i] = step(sum[i], a, b);                           \
    UNROLL for (int i = 0; i < CHAINS; i++) __asm__ volatile("" : : constraint(sum[i]));             \
    return rounds * CHAINS * (multiplies);                                                           \
  }

/* The value as if it were new, so that a product which does not depend on the sum is not computed once for all. */
#define HIDDEN(value, constraint)              \
  ({                                           \
    __asm__ volatile("" : constraint(value));  \
    value;                                     \
  })

struct loops {
  const struct matmul_path *path;
  peak_loop *int8, *fp16, *bf16;
};

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")))
#define AVX512_BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,avx512bf16")))
#define AMX __attribute__((target("amx-tile,amx-int8,amx-bf16")))

#define FMADD_256(sum, a, b) _mm256_fmadd_ps(a, b, sum)
#define MADD_256(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(HIDDEN(a, "+x"), b))
#define FMADD_512(sum, a, b) _mm512_fmadd_ps(a, b, sum)
#define DPBF16_512(sum, a, b) _mm512_dpbf16_ps(sum, (__m512bh)(a), (__m512bh)(b))
DEFINE_LOOP(fma_256, AVX2, __m256, "x", _mm256_setzero_ps(), FMADD_256, 8)
DEFINE_LOOP(int8_256, AVX2, __m256i, "x", _mm256_setzero_si256(), MADD_256, 16)
DEFINE_LOOP(fma_512, AVX512, __m512, "v", _mm512_setzero_ps(), FMADD_512, 16)
DEFINE_LOOP(int8_512, AVX512, __m512i, "v", _mm512_setzero_si512(), _mm512_dpbusd_epi32, 64)
DEFINE_LOOP(bf16_512, AVX512_BF16, __m512, "v", _mm512_setzero_ps(), DPBF16_512, 32)

/* Four tiles of sums, two of A and two of B, as matmul_amx.c: palette 1, sixteen rows of 64 bytes each. */
#define DEFINE_TILE_LOOP(name, product, elements)                                         \
  AMX static uint64_t name(uint64_t rounds) {                                             \
    uint8_t tiles[64] __attribute__((aligned(64)));                                       \
    memset(tiles, 0, sizeof tiles);                                                       \
    tiles[0] = 1;                                                                         \
    for (int tile = 0; tile < 8; tile++) {                                                \
      tiles[16 + 2 * tile] = 64;                                                          \
      tiles[48 + tile] = 16;                                                              \
    }                                                                                     \
    __asm__ volatile("" : : : "memory");                                                  \
    _tile_loadconfig(tiles);                                                              \
    for (uint64_t round = 0; round < rounds; round++) {                                   \
      product(0, 4, 6);                                                                   \
      product(1, 4, 7);                                                                   \
      product(2, 5, 6);                                                                   \
      product(3, 5, 7);                                                                   \
    }                                                                                     \
    _tile_release();                                                                      \
    return rounds * 4 * 16 * 16 * (elements);                                             \
  }
DEFINE_TILE_LOOP(int8_tiles, _tile_dpbssd, 64)
DEFINE_TILE_LOOP(bf16_tiles, _tile_dpbf16ps, 32)

static const struct loops all_loops[] = {{&matmul_amx, int8_tiles, fma_512, bf16_tiles},
                                         {&matmul_avx512_bf16, int8_512, fma_512, bf16_512},
                                         {&matmul_avx512, int8_512, fma_512, fma_512},
                                         {&matmul_avx2, int8_256, fma_256, fma_256},
                                         {&matmul_portable, NULL, NULL, NULL}};
#elif defined(__aarch64__)
#include <arm_neon.h>

#define DOT_PRODUCT __attribute__((target("arch=armv8.2-a+dotprod")))
#define LOW_BYTES(x) vget_low_s8(vreinterpretq_s8_s32(x))
#define WIDENING_MULTIPLY(sum, a, b) vpadalq_s16(sum, vmull_s8(LOW_BYTES(HIDDEN(a, "+w")), LOW_BYTES(b)))
#define DOT(sum, a, b) vdotq_s32(sum, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b))
DEFINE_LOOP(fma_neon, , float32x4_t, "w", vdupq_n_f32(0), vfmaq_f32, 4)
DEFINE_LOOP(int8_neon, , int32x4_t, "w", vdupq_n_s32(0), WIDENING_MULTIPLY, 8)
DEFINE_LOOP(int8_dot, DOT_PRODUCT, int32x4_t, "w", vdupq_n_s32(0), DOT, 16)

static const struct loops all_loops[] = {{&matmul_neon_dot_product, int8_dot, fma_neon, fma_neon},
                                         {&matmul_neon, int8_neon, fma_neon, fma_neon},
                                         {&matmul_portable, NULL, NULL, NULL}};
#else
static const struct loops all_loops[] = {{&matmul_portable, NULL, NULL, NULL}};
#endif

static peak_loop *loop_of(const struct matmul_path *path, uint32_t type) {
  for (size_t i = 0; i < sizeof all_loops / sizeof all_loops[0]; i++) {
    if (all_loops[i].path != path) continue;
    return type == MTIA_TYPE_INT8 ? all_loops[i].int8 : type == MTIA_TYPE_FP16 ? all_loops[i].fp16 : all_loops[i].bf16;
  }
  return NULL;
}

/* ---- Time ---- */

#define ROUNDS 20000u /* a fraction of a millisecond */
#define WARM_UP_NS 10000000u
#define MEASURE_NS 40000000u

struct measurement {
  pthread_t thread;
  peak_loop *loop;
  double multiplies_a_second;
};

/* Processor time: other work on the machine does not make its instructions slower. */
static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The first milliseconds raise the clock and do not count. */
static void *measure(void *argument) {
  struct measurement *const measurement = argument;
  const uint64_t begin = now_ns();
  while (now_ns() - begin < WARM_UP_NS) measurement->loop(ROUNDS);
  const uint64_t start = now_ns();
  uint64_t multiplies = 0, elapsed;
  do multiplies += measurement->loop(ROUNDS);
  while ((elapsed = now_ns() - start) < MEASURE_NS);
  measurement->multiplies_a_second = (double)multiplies * 1e9 / (double)elapsed;
  return NULL;
}

int matmul_peak(const struct matmul_path *path, uint32_t type, uint32_t threads, uint64_t *multiplies_a_second) {
  struct measurement measurements[MATMUL_PEAK_MOST_THREADS];
  peak_loop *const loop = loop_of(path, type);
  double sum = 0;
  uint32_t started = 0;
  *multiplies_a_second = 0;
  if (loop == NULL) return 1;
  for (; started < threads; started++) {
    measurements[started] = (struct measurement){.loop = loop};
    if (pthread_create(&measurements[started].thread, NULL, measure, &measurements[started]) != 0) break;
  }
  for (uint32_t i = 0; i < started; i++) {
    pthread_join(measurements[i].thread, NULL);
    sum += measurements[i].multiplies_a_second;
  }
  *multiplies_a_second = (uint64_t)sum;
  return started == threads;
}
