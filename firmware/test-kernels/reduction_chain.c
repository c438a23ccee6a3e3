/*
 * REDUCTION_CHAIN: tiles of 32 x 32 outputs whose k is split over the PEs of a row or column of the rectangle. Every PE adds
 * what its predecessor sends to its own products and sends the sum on; the last one stores it. A rectangle of one PE stores
 * the products of each part as they are.
 */
#include "mtia_kernel.h"

enum buffer { CB_A, CB_B, CB_OUTPUT };

/* What goes wrong. */
enum mischief { NONE, SILENT_FIRST, LAST_SENDS_ON, OTHER_TYPE, OTHER_SHAPE };

struct arguments {
  uint64_t a, b, output; /* operands: for each chain, tile and part 32 rows of k, then 32 columns in DPE blocks */
  uint64_t tiles, blocks; /* blocks of 64 bytes of k in a part */
  uint64_t type, link, mischief;
};

#define ROWS 32ull
#define SLOTS 2ull
#define OUTPUT_BYTES (ROWS * 32 * 4)

struct chain {
  uint64_t number, part, parts;
};

static struct chain find_chain(const struct mtia_job_descriptor *job, const struct pe_place *place, uint64_t link) {
  if (link == MTIA_REDUCTION_LINK_WEST_TO_EAST) return (struct chain){place->row, place->column, job->columns};
  return (struct chain){place->column, place->row, job->rows};
}

static void load(const struct arguments *a, const struct chain *chain) {
  const uint64_t a_bytes = ROWS * a->blocks * MML_K_BYTES, b_bytes = a->blocks * MML_BLOCK_BYTES;
  uint64_t end = KERNEL_BUFFERS_OFFSET;
  end = place_buffer(CB_A, end, SLOTS * a_bytes);
  end = place_buffer(CB_B, end, SLOTS * b_bytes);
  place_buffer(CB_OUTPUT, end, SLOTS * OUTPUT_BYTES);
  buffers_ready(0);
  for (uint64_t tile = 0; tile < a->tiles; tile++) {
    const uint64_t item = (chain->number * a->tiles + tile) * chain->parts + chain->part;
    dma_shape(1, a_bytes);
    dma_strides(a_bytes, a_bytes);
    dma_in(a->a + item * a_bytes, CB_A);
    dma_shape(1, b_bytes);
    dma_strides(b_bytes, b_bytes);
    dma_in(a->b + item * b_bytes, CB_B);
  }
}

static void store(const struct arguments *a, uint64_t accumulator, uint64_t item, uint64_t type) {
  reduce(accumulator, CB_OUTPUT, 0, ROWS, 32, (struct reduction){MTIA_SE_IDENTITY, type, 32 * 4});
  cb_push(CB_OUTPUT, OUTPUT_BYTES);
  dma_out(a->output + item * OUTPUT_BYTES, CB_OUTPUT);
}

static void compute(const struct arguments *a, const struct chain *chain) {
  const uint64_t a_row = a->blocks * MML_K_BYTES, sum_type = a->type == MTIA_TYPE_INT8 ? MTIA_TYPE_INT32 : MTIA_TYPE_FP32;
  struct partial_sums sums = {a->link, sum_type, ROWS, 32};
  const bool last = chain->part + 1 == chain->parts;
  buffers_ready(1);
  mml_stride(a_row);
  mml_shape(ROWS, 32, a->type, 1);
  dma_shape(1, OUTPUT_BYTES);
  dma_strides(OUTPUT_BYTES, OUTPUT_BYTES);
  for (uint64_t tile = 0; tile < a->tiles; tile++) {
    const uint64_t accumulator = tile % MTIA_LIMIT_ACCUMULATORS;
    accumulator_clear(accumulator);
    for (uint64_t block = 0; block < a->blocks; block++)
      mml(accumulator, CB_A, block * MML_K_BYTES, CB_B, block * MML_BLOCK_BYTES);
    cb_pop(CB_A, ROWS * a_row);
    cb_pop(CB_B, a->blocks * MML_BLOCK_BYTES);
    if (chain->part != 0) {
      struct partial_sums expected = sums;
      if (a->mischief == OTHER_TYPE) expected.type = MTIA_TYPE_FP32 + MTIA_TYPE_INT32 - sum_type;
      if (a->mischief == OTHER_SHAPE) expected.columns = 31;
      reduce_receive(accumulator, expected);
    }
    if (!last || a->mischief == LAST_SENDS_ON) {
      if (chain->part != 0 || a->mischief != SILENT_FIRST) reduce_send(accumulator, sums);
    } else {
      store(a, accumulator, chain->number * a->tiles + tile, sum_type);
    }
  }
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(arguments, a, job);
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  const struct chain chain = find_chain(job, &place, a->link);
  if (hart == 0) load(a, &chain);
  else compute(a, &chain);
  return MTIA_RESULT_OK;
}
