/*
 * The dot-product engine on AMX. TDPBF16PS computes the order of docs/numerics.md as it is: for a tile of at most 64 bytes of k,
 * two chains of fused multiply-adds per output from zero, their sum added to the accumulator, denormals flushed, whatever MXCSR
 * says. B lies in memory as the instruction wants it. A block of 32 x 32 outputs is four tiles of sums, two of A, two of B.
 */
#include "matmul_amx.h"
#include "matmul.h"
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AMX __attribute__((target("amx-tile,amx-int8,amx-bf16")))
#define INLINE static inline __attribute__((always_inline))
/* The compiler does not see that tile instructions read and write memory. */
#define TILES_SEE_MEMORY __asm__ volatile("" : : : "memory")

#define TILE 16u /* rows of a tile, and columns of 4 bytes */
#define ACCUMULATOR_STRIDE (MATMUL_COLUMNS * 4)

/* ---- Leave to use the tiles ---- */

#define CPUID_7_EDX_AMX ((1u << 22) | (1u << 24) | (1u << 25)) /* AMX_BF16, AMX_TILE, AMX_INT8 */
#define CPUID_1_ECX_OSXSAVE (1u << 27)
#define XCR0_TILES (3u << 17) /* XTILECFG and XTILEDATA are saved by the system */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static uint32_t read_xcr0(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

bool matmul_amx_permitted(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & CPUID_7_EDX_AMX) != CPUID_7_EDX_AMX) return false;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & CPUID_1_ECX_OSXSAVE) == 0) return false;
  if ((read_xcr0() & XCR0_TILES) != XCR0_TILES) return false;
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* ---- Tiles: 0..3 the sums [upper, lower rows][left, right columns], 4 and 5 rows of A, 6 and 7 columns of B ---- */

struct tile_configuration {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} __attribute__((aligned(64)));

/* Rows and columns of one operand in its first and second tile; 0 where the second is not needed. */
struct halves { uint32_t size[2]; };

INLINE struct halves halves_of(uint32_t size) {
  return (struct halves){{size < TILE ? size : TILE, size < TILE ? 0 : size - TILE}};
}

static void set_tile(struct tile_configuration *tiles, uint32_t tile, uint32_t rows, uint32_t row_bytes) {
  if (rows == 0 || row_bytes == 0) return;
  tiles->rows[tile] = (uint8_t)rows;
  tiles->row_bytes[tile] = (uint16_t)row_bytes;
}

/* Tiles are as small as the shape, so that nothing beyond m and n is read or written. */
AMX static void configure(const struct matmul_operands *operands, struct halves m, struct halves n) {
  struct tile_configuration tiles;
  memset(&tiles, 0, sizeof tiles);
  tiles.palette = 1;
  for (uint32_t half = 0; half < 2; half++) {
    for (uint32_t right = 0; right < 2; right++) set_tile(&tiles, 2 * half + right, m.size[half], n.size[right] * 4);
    set_tile(&tiles, 4 + half, m.size[half], operands->k_bytes);
    if (n.size[half] != 0) set_tile(&tiles, 6 + half, operands->k_bytes / 4, n.size[half] * 4);
  }
  TILES_SEE_MEMORY;
  _tile_loadconfig(&tiles);
}

/* ---- Products ---- */

struct amx_a { const uint8_t *rows; long stride; };

/* Rows of A usually lie at a constant distance; where a circular buffer went around between two, a copy does. */
static struct amx_a place_a(const struct matmul_operands *operands, uint8_t *copy) {
  const uint32_t bytes = operands->k_bytes * operands->blocks;
  const intptr_t first = (intptr_t)operands->a[0];
  const long stride = operands->m > 1 ? (long)((intptr_t)operands->a[1] - first) : (long)bytes;
  for (uint32_t row = 2; row < operands->m; row++) {
    if ((intptr_t)operands->a[row] - first == stride * (long)row) continue;
    for (uint32_t each = 0; each < operands->m; each++) memcpy(copy + (uint64_t)each * bytes, operands->a[each], bytes);
    return (struct amx_a){copy, (long)bytes};
  }
  return (struct amx_a){operands->a[0], stride};
}

/* The four sums of a block; which half of m or n does not exist is known where this is inlined. */
#define MULTIPLY_BLOCK(product, a_rows, stride, b, lower, right) \
  do {                                                           \
    _tile_loadd(4, (a_rows), (stride));                          \
    _tile_loadd(6, (b), MATMUL_B_ROW_BYTES);                     \
    product(0, 4, 6);                                            \
    if (right) {                                                 \
      _tile_loadd(7, (b) + 64, MATMUL_B_ROW_BYTES);              \
      product(1, 4, 7);                                          \
    }                                                            \
    if (lower) {                                                 \
      _tile_loadd(5, (a_rows) + TILE * (stride), (stride));      \
      product(2, 5, 6);                                          \
      if (right) product(3, 5, 7);                               \
    }                                                            \
  } while (0)

/* Every sum tile that exists, moved by load or store. */
#define MOVE_SUMS(move, sums, lower, right)                                                                 \
  do {                                                                                                      \
    move(0, (sums), ACCUMULATOR_STRIDE);                                                                    \
    if (right) move(1, (sums) + TILE * 4, ACCUMULATOR_STRIDE);                                              \
    if (lower) move(2, (sums) + TILE * ACCUMULATOR_STRIDE, ACCUMULATOR_STRIDE);                             \
    if ((lower) && (right)) move(3, (sums) + TILE * ACCUMULATOR_STRIDE + TILE * 4, ACCUMULATOR_STRIDE);     \
  } while (0)

/* As long a copy of A as a command can name: 255 blocks would not fit a stack, so long sums go through it in pieces. */
#define COPY_BLOCKS 16u
#define MOST_K_BYTES 64u

#define DEFINE_PRODUCT(name, product)                                                                            \
  AMX static void name##_piece(union accumulator *accumulator, const struct matmul_operands *operands) {         \
    const struct halves m = halves_of(operands->m), n = halves_of(operands->n);                                  \
    const bool lower = m.size[1] != 0, right = n.size[1] != 0;                                                   \
    uint8_t *const sums = (uint8_t *)accumulator, copy[MATMUL_ROWS * COPY_BLOCKS * MOST_K_BYTES];                \
    const struct amx_a a = place_a(operands, copy);                                                              \
    configure(operands, m, n);                                                                                   \
    MOVE_SUMS(_tile_loadd, sums, lower, right);                                                                  \
    for (uint32_t block = 0; block < operands->blocks; block++) {                                                \
      const uint8_t *const a_rows = a.rows + (uint64_t)block * operands->k_bytes;                                \
      const uint8_t *const b = operands->b + (uint64_t)block * (operands->k_bytes / 4) * MATMUL_B_ROW_BYTES;     \
      MULTIPLY_BLOCK(product, a_rows, a.stride, b, lower, right);                                                \
    }                                                                                                            \
    MOVE_SUMS(_tile_stored, sums, lower, right);                                                                 \
    _tile_release();                                                                                             \
    TILES_SEE_MEMORY;                                                                                            \
  }                                                                                                              \
  static void name(union accumulator *accumulator, const struct matmul_operands *operands) {                     \
    in_pieces(name##_piece, accumulator, operands);                                                              \
  }

static void in_pieces(matmul_function *piece, union accumulator *accumulator, const struct matmul_operands *operands) {
  struct matmul_operands part = *operands;
  for (uint32_t done = 0; done < operands->blocks; done += part.blocks) {
    part.blocks = operands->blocks - done < COPY_BLOCKS ? operands->blocks - done : COPY_BLOCKS;
    piece(accumulator, &part);
    for (uint32_t row = 0; row < part.m; row++) part.a[row] += (uint64_t)part.blocks * part.k_bytes;
    part.b += (uint64_t)part.blocks * (part.k_bytes / 4) * MATMUL_B_ROW_BYTES;
  }
}

DEFINE_PRODUCT(int8_amx, _tile_dpbssd)
DEFINE_PRODUCT(bf16_amx, _tile_dpbf16ps)

/* AMX_FP16 widens FP16 to FP32 but is newer than AMX itself: FP16 stays with AVX-512. */
static void fp16_amx(union accumulator *accumulator, const struct matmul_operands *operands) {
  matmul_avx512.fp16(accumulator, operands);
}

const struct matmul_path matmul_amx = {"amx", int8_amx, fp16_amx, bf16_amx};
#else
typedef int matmul_amx_is_for_x86_64; /* C forbids an empty translation unit */
#endif
