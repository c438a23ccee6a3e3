/*
 * COPY: rows from one stride to another. Where DMA can begin at every row it is the whole story: in as a block, out as a
 * block. Otherwise (v1, unaligned rows) the rows pass through the memory layout unit.
 */
#include "row_transform.h"

#define COPY_ROW_LIMIT 32768ull
/* A shorter piece is not worth a PE of its own. */
#define COPY_LINE_SHORTEST 1024ull

enum buffer { CB_BLOCK };

/* What hart 0 hands to hart 1. A copy by DMA needs nothing of the plan but how the rows are dealt. */
struct copy_job {
  struct transform_job job;
  bool by_dma;
};
_Static_assert(sizeof(struct copy_job) <= KERNEL_SHARED_BYTES, "hart 0 passes it to hart 1");

static void deal_rows(struct transform_plan *p, const struct transform *t, const struct pe_place *place) {
  const uint64_t half = (pe_local_bytes() - KERNEL_BUFFERS_OFFSET) / 2;
  const uint64_t share = minimum(divide_up(t->rows, place->count), transform_rows_limit(t));
  p->source_stride = round_up(t->elements, 4);
  p->block_rows = minimum(share, half / p->source_stride);
  p->input_slot = round_up(p->block_rows * p->source_stride, 32);
  p->first_block = place->index;
  p->block_step = place->count;
}

/* Both harts walk the same blocks: hart 0 gets them, hart 1 puts them. */
static void move_blocks(const struct transform_plan *p, const struct transform *t, uint64_t hart) {
  const uint64_t stride = p->source_stride, slot = p->input_slot;
  const uint64_t step = p->block_step * p->block_rows;
  dma_strides(hart == 0 ? t->input_stride : t->output_stride, stride);
  for (uint64_t first = p->first_block * p->block_rows; first < t->rows; first += step) {
    const uint64_t count = minimum(p->block_rows, t->rows - first);
    dma_shape(count, first + count == t->rows ? t->last_elements : t->elements);
    if (hart == 0)
      dma_in_slot(t->input + first * t->input_stride, CB_BLOCK, count * stride, slot);
    else
      dma_out_slot(t->output + first * t->output_stride, CB_BLOCK, count * stride, slot);
  }
  fence();
}

static uint32_t load_by_dma(const struct transform *t, const struct pe_place *place) {
  struct copy_job *const job = KERNEL_SHARED(struct copy_job);
  struct transform_plan plan = {.blocks = 0};
  deal_rows(&plan, t, place);
  job->job.transform = *t;
  job->job.plan = plan;
  place_buffer(CB_BLOCK, KERNEL_BUFFERS_OFFSET, 2 * plan.input_slot);
  buffers_ready(0);
  move_blocks(&plan, t, 0);
  return MTIA_RESULT_OK;
}

static uint32_t plan_and_load(const struct mtia_job_descriptor *job, const struct mtia_copy_arguments *a) {
  const uint64_t generation = pe_generation();
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (a->row_bytes > COPY_ROW_LIMIT) return MTIA_RESULT_BAD_ARGUMENT;
  struct transform t = {
      .input = a->input, .output = a->output, .input_stride = a->input_stride, .output_stride = a->output_stride,
      .rows = a->rows, .elements = a->row_bytes, .last_elements = a->row_bytes};
  if (t.input_stride == t.elements && t.output_stride == t.elements)
    cut_line(&t, place.count, COPY_LINE_SHORTEST, COPY_ROW_LIMIT);
  const uint64_t strides = t.rows > 1 ? t.input_stride | t.output_stride : 0;
  const bool by_dma = t.rows != 0 && t.elements != 0 && dma_address_fits(generation, t.input | t.output | strides);
  KERNEL_SHARED(struct copy_job)->by_dma = by_dma;
  return by_dma ? load_by_dma(&t, &place) : load_transform(&t, &place, generation);
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(mtia_copy_arguments, arguments, job);
  if (hart == 0) return plan_and_load(job, arguments);
  buffers_ready(1);
  const struct copy_job *const copy = KERNEL_SHARED(struct copy_job);
  if (!copy->by_dma) return finish_transform(THROUGH_MLU);
  move_blocks(&copy->job.plan, &copy->job.transform, 1);
  return MTIA_RESULT_OK;
}
