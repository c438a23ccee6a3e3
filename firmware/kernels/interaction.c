/*
 * INTERACTION: S = X X^T of every sample, of which selected entries leave behind a prefix of the dense feature.
 *
 * X is the first operand as it lies; the memory layout unit makes the second one, whose groups of 4 bytes are X seen as a
 * matrix of 4-byte elements and transposed. S is kept row-major without gaps, so a selected place is an offset as it stands.
 * Selections come in runs of neighbours (the rows of a triangle): one MLU copy moves a run of all samples of a block at
 * once, where the hart would need several instructions for each entry of each sample.
 */
#include "mtia_kernel.h"

enum buffer { CB_INPUT, CB_SECOND, CB_PRODUCT, CB_SELECTION, CB_OUTPUT };

#define BLOCK 32ull
#define MAXIMUM_FEATURES 64ull
#define ELEMENT_BYTES 2ull
/* A run of the selection: first place (of at most 64 x 64) and, above RUN_LENGTH_LOW, its length. */
#define RUN_LENGTH_LOW 16
/* Room behind the selection for what ends its last run. */
#define SELECTION_MARGIN 32ull
#define BAD_SELECTION UINT64_MAX

struct plan {
  uint64_t samples;        /* of a block, the unit in which work is dealt */
  uint64_t slots;          /* of CB_INPUT, CB_SECOND and CB_OUTPUT */
  uint64_t sample_bytes;   /* X in local memory */
  uint64_t second_bytes;   /* the second operand for up to 32 columns */
  uint64_t product_bytes;  /* S */
  uint64_t product_slot;
  uint64_t selection_bytes;
  uint64_t first_block, block_step, blocks; /* of this PE */
  uint64_t mml_limit;      /* blocks of k in one MML */
};
_Static_assert(sizeof(struct plan) <= KERNEL_SHARED_BYTES, "hart 0 passes it to hart 1");

static bool arguments_are_good(const struct mtia_interaction_arguments *a, uint64_t generation) {
  if (!is_half_type(a->type) || a->features == 0 || a->features > MAXIMUM_FEATURES) return false;
  if (a->feature_stride == 0 || a->feature_stride % MML_K_BYTES != 0 || a->feature_stride > 1ull << 16) return false;
  if (a->elements > a->feature_stride / ELEMENT_BYTES || a->prefix_elements > a->elements) return false;
  if (a->prefix_elements != 0 && a->prefix_feature >= a->features) return false;
  if (a->selected_count > 1ull << 14 || a->output_stride % 32 != 0) return false;
  if ((a->prefix_elements + a->selected_count) * ELEMENT_BYTES > a->output_stride) return false;
  return dma_address_fits(generation, a->input | a->input_stride | a->output | a->selection);
}

static bool make_plan(struct plan *p, const struct mtia_interaction_arguments *a, const struct pe_place *place,
                      uint64_t generation) {
  p->sample_bytes = a->features * a->feature_stride;
  p->second_bytes = a->feature_stride * BLOCK;
  p->product_bytes = a->features * a->features * ELEMENT_BYTES;
  p->selection_bytes = round_up(a->selected_count * 4, 32);
  const uint64_t local = pe_local_bytes();
  p->samples = 0;
  for (p->slots = 2; p->slots != 0; p->slots--) {
    const uint64_t fixed = KERNEL_BUFFERS_OFFSET + p->slots * p->second_bytes + p->selection_bytes + SELECTION_MARGIN + 32;
    if (fixed >= local) continue;
    const uint64_t each = p->slots * (p->sample_bytes + a->output_stride) + p->product_bytes;
    p->samples = minimum(divide_up(a->batch, place->count), (local - fixed) / each);
    if (p->samples != 0) break;
  }
  if (p->samples == 0) return false;
  p->product_slot = round_up(p->samples * p->product_bytes, 32);
  p->blocks = divide_up(a->batch, p->samples);
  if (p->blocks <= place->count) p->slots = 1;
  p->first_block = place->index;
  p->block_step = place->count;
  p->mml_limit = mml_blocks_limit(generation);
  return true;
}

static void place_buffers(const struct plan *p, const struct mtia_interaction_arguments *a) {
  const uint64_t rows = p->slots * p->samples;
  uint64_t end = place_buffer(CB_INPUT, KERNEL_BUFFERS_OFFSET, rows * p->sample_bytes);
  end = place_buffer(CB_SECOND, end, p->slots * p->second_bytes);
  end = place_buffer(CB_PRODUCT, end, p->product_slot);
  end = place_buffer(CB_SELECTION, end, p->selection_bytes + SELECTION_MARGIN);
  place_buffer(CB_OUTPUT, end, rows * a->output_stride);
  /* What follows the last element of a row is zero for good: no block writes there. */
  const uint64_t used = (a->prefix_elements + a->selected_count) * ELEMENT_BYTES;
  local_zero(end, rows, a->output_stride, used, a->output_stride);
}

/* ---- Hart 0: loads ---- */

static void load(const struct plan *p, const struct mtia_interaction_arguments *a) {
  const uint64_t slot = p->samples * p->sample_bytes;
  if (a->selected_count != 0) {
    dma_shape(1, p->selection_bytes);
    dma_strides(0, p->selection_bytes);
    dma_in(a->selection, CB_SELECTION);
  }
  dma_strides(a->input_stride, p->sample_bytes);
  for (uint64_t block = p->first_block; block < p->blocks; block += p->block_step) {
    const uint64_t first = block * p->samples, count = minimum(p->samples, a->batch - first);
    dma_shape(count, p->sample_bytes);
    dma_in_slot(a->input + first * a->input_stride, CB_INPUT, count * p->sample_bytes, slot);
  }
}

/* ---- Hart 1: computes ---- */

/*
 * Turns the list of selected places into runs of neighbours, in place: a run takes no more room than its entries did.
 * Entries are compared two at a time; what lies behind the list is made to end every run, so nothing else looks for the
 * end. Returns the number of runs, or BAD_SELECTION for a place outside S.
 */
static uint64_t find_runs(uint32_t *selection, uint64_t count, uint64_t places) {
  uint32_t *run = selection, *const end = selection + count;
  const uint32_t *next = selection;
  end[0] = end[1] = UINT32_MAX;
  while (next != end) {
    const uint64_t first = *next;
    const uint32_t *const begin = next++;
    if (((uintptr_t)next & 7) != 0 && *next == first + 1) next++;
    if (((uintptr_t)next & 7) == 0) {
      const uint64_t from = first + (uint64_t)(next - begin);
      for (uint64_t pair = (from + 1) << 32 | from; *(const uint64_t *)(const void *)next == pair; pair += 2ull << 32 | 2)
        next += 2;
      if (*next == first + (uint64_t)(next - begin)) next++;
    }
    const uint64_t length = (uint64_t)(next - begin);
    if (first + length > places) return BAD_SELECTION;
    *run++ = (uint32_t)(length << RUN_LENGTH_LOW | first);
  }
  return (uint64_t)(run - selection);
}

/* One accumulator: rows x columns of S; `input` is the offset of the rows. */
static inline void multiply_block(uint64_t accumulator, uint64_t input, uint64_t rows, uint64_t columns,
                                  const struct mtia_interaction_arguments *a, uint64_t mml_limit) {
  const uint64_t blocks = a->feature_stride / MML_K_BYTES, step = blocks <= mml_limit ? blocks : 1;
  accumulator_clear(accumulator);
  mml_shape(rows, columns, a->type, step);
  for (uint64_t block = 0; block < blocks; block += step)
    mml(accumulator, CB_INPUT, input + block * MML_K_BYTES, CB_SECOND, block * MML_BLOCK_BYTES);
}

/* S of one sample, 32 columns at a time: 32 rows of X, transposed as 4-byte elements, are the second operand for them. */
static void multiply_sample(const struct plan *p, const struct mtia_interaction_arguments *a, uint64_t sample,
                            uint64_t product) {
  const struct reduction how = {MTIA_SE_IDENTITY, a->type, a->features * ELEMENT_BYTES};
  for (uint64_t column = 0, accumulator = 0; column < a->features; column += BLOCK) {
    const uint64_t columns = minimum(BLOCK, a->features - column);
    mlu_shape(columns, a->feature_stride / 4, 4);
    mlu_transpose(CB_INPUT, sample + column * a->feature_stride, CB_SECOND, 0);
    cb_push(CB_SECOND, p->second_bytes);
    for (uint64_t row = 0; row < a->features; row += BLOCK, accumulator++) {
      const uint64_t rows = minimum(BLOCK, a->features - row);
      multiply_block(accumulator, sample + row * a->feature_stride, rows, columns, a, p->mml_limit);
      reduce(accumulator, CB_PRODUCT, product + row * how.stride + column * ELEMENT_BYTES, rows, columns, how);
    }
    cb_pop(CB_SECOND, p->second_bytes);
  }
}

/* Prefix and selected places of `count` samples into rows of CB_OUTPUT. */
static void assemble_rows(const struct plan *p, const struct mtia_interaction_arguments *a, uint64_t count,
                          const uint32_t *runs, uint64_t run_count) {
  uint64_t at = a->prefix_elements * ELEMENT_BYTES;
  if (at != 0) {
    mlu_shape(count, a->prefix_elements, ELEMENT_BYTES);
    mlu_strides(p->sample_bytes, a->output_stride);
    mlu_copy(CB_INPUT, a->prefix_feature * a->feature_stride, CB_OUTPUT, 0);
  }
  mlu_strides(p->product_bytes, a->output_stride);
  for (const uint32_t *run = runs; run != runs + run_count; run++) {
    const uint64_t length = *run >> RUN_LENGTH_LOW, first = *run & ((1ull << RUN_LENGTH_LOW) - 1);
    mlu_shape(count, length, ELEMENT_BYTES);
    mlu_copy(CB_PRODUCT, first * ELEMENT_BYTES, CB_OUTPUT, at);
    at += length * ELEMENT_BYTES;
  }
}

static uint32_t compute(const struct plan *p, const struct mtia_interaction_arguments *a) {
  uint32_t *runs = 0;
  uint64_t run_count = 0;
  if (a->selected_count != 0) {
    runs = (uint32_t *)(uintptr_t)cb_wait_data(CB_SELECTION, p->selection_bytes);
    run_count = find_runs(runs, a->selected_count, a->features * a->features);
    if (run_count == BAD_SELECTION) return MTIA_RESULT_BAD_ARGUMENT;
  }
  const uint64_t output_stride = a->output_stride, output_slot = p->samples * output_stride;
  mml_stride(a->feature_stride);
  dma_strides(output_stride, output_stride);
  for (uint64_t block = p->first_block; block < p->blocks; block += p->block_step) {
    const uint64_t first = block * p->samples, count = minimum(p->samples, a->batch - first);
    mlu_strides(a->feature_stride, BLOCK * 4);
    for (uint64_t sample = 0; sample < count; sample++)
      multiply_sample(p, a, sample * p->sample_bytes, sample * p->product_bytes);
    cb_push(CB_PRODUCT, p->product_slot);
    assemble_rows(p, a, count, runs, run_count);
    cb_pop(CB_PRODUCT, p->product_slot);
    cb_push(CB_OUTPUT, output_slot);
    dma_shape(count, output_stride);
    dma_out_slot(a->output + first * output_stride, CB_OUTPUT, count * output_stride, output_slot);
    cb_pop(CB_INPUT, p->samples * p->sample_bytes);
  }
  fence();
  return MTIA_RESULT_OK;
}

/* Hart 0 checks and plans. Where this PE has no samples, hart 1 finds no block in the plan. */
static uint32_t plan_and_load(const struct mtia_job_descriptor *job, const struct mtia_interaction_arguments *a) {
  const uint64_t generation = pe_generation();
  struct pe_place place;
  struct plan plan = {.blocks = 0};
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (!arguments_are_good(a, generation)) return MTIA_RESULT_BAD_ARGUMENT;
  if (a->batch != 0 && !make_plan(&plan, a, &place, generation)) return MTIA_RESULT_LOCAL_MEMORY;
  *KERNEL_SHARED(struct plan) = plan;
  const bool has_work = plan.first_block < plan.blocks;
  if (has_work) place_buffers(&plan, a);
  buffers_ready(0);
  if (has_work) load(&plan, a);
  return MTIA_RESULT_OK;
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(mtia_interaction_arguments, arguments, job);
  if (hart == 0) return plan_and_load(job, arguments);
  buffers_ready(1);
  const struct plan *const plan = KERNEL_SHARED(struct plan);
  return plan->first_block < plan->blocks ? compute(plan, arguments) : MTIA_RESULT_OK;
}
