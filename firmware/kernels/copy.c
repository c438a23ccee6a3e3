/*
 * COPY: rows from one stride to another. Where DMA can begin at every row it is the whole story: in as a block, out as a
 * block. Otherwise (v1, unaligned rows) the rows pass through the memory layout unit.
 */
#include "row_transform.h"

#define COPY_ROW_LIMIT 32768u
/* A shorter piece is not worth a PE of its own. */
#define COPY_LINE_SHORTEST 1024u

enum buffer { CB_BLOCK };

static uint32_t copy_by_dma(const struct transform *t, const struct pe_place *place, uint32_t hart) {
  const uint32_t stride = round_up(t->elements, 4);
  const uint32_t half = (pe_local_bytes() - KERNEL_BUFFERS_OFFSET) / 2;
  const uint32_t share = minimum(divide_up(t->rows, place->count), transform_rows_limit(t));
  const uint32_t block_rows = minimum(share, half / stride), slot = round_up(block_rows * stride, 32);
  uint32_t end = KERNEL_BUFFERS_OFFSET;
  if (hart == 0) place_buffer(0, CB_BLOCK, &end, 2 * slot);
  buffers_ready(hart);
  dma_strides(hart == 0 ? t->input_stride : t->output_stride, stride);
  for (uint32_t first = place->index * block_rows; first < t->rows; first += place->count * block_rows) {
    const uint32_t count = minimum(block_rows, t->rows - first);
    dma_shape(count, first + count == t->rows ? t->last_elements : t->elements);
    if (hart == 0)
      dma_in_slot(t->input + first * t->input_stride, CB_BLOCK, count * stride, slot);
    else
      dma_out_slot(t->output + first * t->output_stride, CB_BLOCK, count * stride, slot);
  }
  if (hart == 1) fence();
  return MTIA_RESULT_OK;
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(mtia_copy_arguments, a, job);
  const uint32_t generation = pe_generation();
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (a->row_bytes > COPY_ROW_LIMIT) return MTIA_RESULT_BAD_ARGUMENT;
  struct transform t = {
      .input = a->input, .output = a->output, .input_stride = a->input_stride, .output_stride = a->output_stride,
      .rows = a->rows, .elements = a->row_bytes, .last_elements = a->row_bytes, .copies = true};
  if (t.rows == 0 || t.elements == 0) return MTIA_RESULT_OK;
  if (t.input_stride == t.elements && t.output_stride == t.elements)
    cut_line(&t, place.count, COPY_LINE_SHORTEST, COPY_ROW_LIMIT);
  if (dma_address_fits(generation, t.input | t.output | (t.rows > 1 ? t.input_stride | t.output_stride : 0)))
    return copy_by_dma(&t, &place, hart);
  return run_transform(&t, &place, hart, generation);
}
