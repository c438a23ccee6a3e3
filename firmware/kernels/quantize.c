/*
 * QUANTIZE: rows of FP16 or BF16 to INT8, symmetric, each with a scale of its own that comes from the row itself (I25).
 *
 * Hart 0 loads some rows at a time. The SIMD engine finds the largest magnitude of each, hart 1 makes scales of them, and
 * the SIMD engine divides. Work is dealt in blocks of rows whose scales begin aligned for DMA of MTIA v1.
 */
#include "mtia_kernel.h"

enum buffer { CB_INPUT, CB_OUTPUT, CB_MAXIMUM, CB_SCALE };

#define ELEMENTS_LIMIT 16384ull
/* Scales of that many rows are one unit of DMA of v1. */
#define BLOCK_UNIT 8ull
/* What the SIMD engine of v1 takes at a time. */
#define BLOCK_LIMIT 32ull
#define SCALE_BYTES 4ull
#define SCALE_SLOT (BLOCK_LIMIT * SCALE_BYTES)
/* Largest INT8 of the symmetric range. */
#define INT8_LIMIT 127.0f

struct plan {
  uint64_t first_block, blocks, block_step, block_rows; /* the unit in which work is dealt */
  uint64_t load_rows;                                   /* rows that are in local memory at a time, and how often */
  uint64_t slots;
  uint64_t row_bytes, local_stride;                     /* of the input */
  uint64_t input_slot, output_slot;
};
_Static_assert(sizeof(struct plan) <= KERNEL_SHARED_BYTES, "hart 0 passes it to hart 1");

static bool arguments_are_good(const struct mtia_quantize_arguments *a, uint64_t generation) {
  if (!is_half_type(a->input_type) || a->elements == 0 || a->elements > ELEMENTS_LIMIT) return false;
  if (a->output_stride % 64 != 0 || a->output_stride < a->elements || a->output_stride >= a->elements + 64) return false;
  return a->input_stride % 32 == 0 && dma_address_fits(generation, a->input | a->output | a->scales);
}

static bool make_plan(struct plan *p, const struct mtia_quantize_arguments *a, const struct pe_place *place) {
  const uint64_t space = pe_local_bytes() - KERNEL_BUFFERS_OFFSET - 4 * SCALE_SLOT;
  const uint64_t share = round_up(divide_up(a->rows, place->count), BLOCK_UNIT);
  p->block_rows = minimum(share, BLOCK_LIMIT);
  p->blocks = divide_up(a->rows, p->block_rows);
  p->first_block = place->index;
  p->block_step = place->count;
  p->row_bytes = a->elements * type_bytes(a->input_type);
  p->local_stride = round_up(p->row_bytes, 32);
  for (p->load_rows = minimum(p->block_rows, a->rows); p->load_rows != 0; p->load_rows /= 2)
    for (p->slots = 2; p->slots != 0; p->slots--)
      if (p->slots * p->load_rows * (p->local_stride + a->output_stride) <= space) {
        p->input_slot = p->load_rows * p->local_stride;
        p->output_slot = p->load_rows * a->output_stride;
        return true;
      }
  return false;
}

static void place_buffers(const struct plan *p, const struct mtia_quantize_arguments *a) {
  uint64_t end = place_buffer(CB_INPUT, KERNEL_BUFFERS_OFFSET, p->slots * p->input_slot);
  end = place_buffer(CB_MAXIMUM, end, 2 * SCALE_SLOT);
  end = place_buffer(CB_SCALE, end, 2 * SCALE_SLOT);
  place_buffer(CB_OUTPUT, end, p->slots * p->output_slot);
  /* What pads the rows is zero for good: no command writes there. */
  local_zero(end, p->slots * p->load_rows, a->output_stride, a->elements, a->output_stride);
}

/* ---- Hart 0 ---- */

static void load(const struct plan *p, const struct mtia_quantize_arguments *a) {
  dma_strides(a->input_stride, p->local_stride);
  for (uint64_t block = p->first_block; block < p->blocks; block += p->block_step) {
    const uint64_t first = block * p->block_rows, end = minimum(first + p->block_rows, a->rows);
    for (uint64_t row = first; row < end; row += p->load_rows) {
      const uint64_t rows = minimum(p->load_rows, end - row);
      dma_shape(rows, p->row_bytes);
      dma_in_slot(a->input + row * a->input_stride, CB_INPUT, rows * p->local_stride, p->input_slot);
    }
  }
}

/* ---- Hart 1 ---- */

static void find_scales(const struct plan *p, const struct mtia_quantize_arguments *a, uint64_t rows) {
  const struct se_operand input = {CB_INPUT, 0, a->input_type}, maximum = {CB_MAXIMUM, 0, MTIA_TYPE_FP32};
  se_strides(p->local_stride, 0, SCALE_BYTES);
  se_row_reduce(MTIA_SE_ROW_OPERATION_ABSOLUTE_MAXIMUM, false, input, maximum);
  cb_push(CB_MAXIMUM, SCALE_SLOT);
  const float *const maxima = cb_wait_data(CB_MAXIMUM, SCALE_SLOT);
  float *const scales = cb_wait_space(CB_SCALE, rows * SCALE_BYTES);
  for (uint64_t row = 0; row < rows; row++) scales[row] = maxima[row] / INT8_LIMIT;
  cb_pop(CB_MAXIMUM, SCALE_SLOT);
  cb_push(CB_SCALE, rows * SCALE_BYTES);
}

/* `done` rows of the block came before these. */
static void quantize_rows(const struct plan *p, const struct mtia_quantize_arguments *a, uint64_t rows, uint64_t done,
                          uint64_t output) {
  se_shape(rows, a->elements);
  find_scales(p, a, rows);
  const struct se_operand from = {CB_INPUT, 0, a->input_type}, to = {CB_OUTPUT, 0, MTIA_TYPE_INT8};
  const struct se_operand scale = {CB_SCALE, done * SCALE_BYTES, MTIA_TYPE_FP32};
  se_strides(p->local_stride, 0, a->output_stride);
  se_quantize(true, from, to, scale);
  cb_pop(CB_INPUT, p->input_slot);
  cb_push(CB_OUTPUT, p->output_slot);
  dma_shape(rows, a->output_stride);
  dma_strides(a->output_stride, a->output_stride);
  dma_out_slot(output, CB_OUTPUT, rows * a->output_stride, p->output_slot);
}

static void quantize_blocks(const struct plan *p, const struct mtia_quantize_arguments *a) {
  for (uint64_t block = p->first_block; block < p->blocks; block += p->block_step) {
    const uint64_t first = block * p->block_rows, rows = minimum(p->block_rows, a->rows - first);
    for (uint64_t done = 0; done < rows; done += p->load_rows)
      quantize_rows(p, a, minimum(p->load_rows, rows - done), done, a->output + (first + done) * a->output_stride);
    const uint64_t bytes = rows * SCALE_BYTES;
    if (bytes != SCALE_SLOT) cb_push(CB_SCALE, SCALE_SLOT - bytes);
    dma_shape(1, bytes);
    dma_strides(bytes, bytes);
    dma_out_slot(a->scales + first * SCALE_BYTES, CB_SCALE, bytes, SCALE_SLOT);
  }
  fence();
}

/* Hart 0 checks and plans. Where this PE has no rows, hart 1 finds no block in the plan. */
static uint32_t plan_and_load(const struct mtia_job_descriptor *job, const struct mtia_quantize_arguments *a) {
  struct pe_place place;
  struct plan plan = {.blocks = 0};
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (!arguments_are_good(a, pe_generation())) return MTIA_RESULT_BAD_ARGUMENT;
  if (a->rows != 0 && !make_plan(&plan, a, &place)) return MTIA_RESULT_LOCAL_MEMORY;
  *KERNEL_SHARED(struct plan) = plan;
  const bool has_work = plan.first_block < plan.blocks;
  if (has_work) place_buffers(&plan, a);
  buffers_ready(0);
  if (has_work) load(&plan, a);
  return MTIA_RESULT_OK;
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(mtia_quantize_arguments, arguments, job);
  if (hart == 0) return plan_and_load(job, arguments);
  buffers_ready(1);
  const struct plan *const plan = KERNEL_SHARED(struct plan);
  if (plan->first_block < plan->blocks) quantize_blocks(plan, arguments);
  return MTIA_RESULT_OK;
}
