/* OPERAND_FORMS: one element a row (the first step of a softmax), elements apart, elements of 4 bits. Every PE has operands of its own. */
#include "mtia_kernel.h"

enum buffer { CB_INPUT, CB_MAXIMUM, CB_OUTPUT };
enum form { ONE_A_ROW, ELEMENTS_APART, HALVES };

struct arguments {
  uint64_t input, output;        /* as many bytes for each place, one behind the other */
  uint64_t form, rows, elements; /* FP32; with HALVES 4 bits each, both even */
};

#define STEP 3ull

static struct se_operand fp32(uint64_t cb) { return (struct se_operand){cb, 0, MTIA_TYPE_FP32}; }

/* Each row less its largest element. */
static uint64_t one_a_row(const struct arguments *a) {
  const uint64_t row_bytes = a->elements * 4;
  se_shape(a->rows, a->elements);
  se_strides(row_bytes, 4, 4);
  se_row_reduce(MTIA_SE_ROW_OPERATION_MAXIMUM, false, fp32(CB_INPUT), fp32(CB_MAXIMUM));
  cb_push(CB_MAXIMUM, a->rows * 4);
  se_strides(row_bytes, 4, row_bytes);
  se_binary(MTIA_SE_OPERATION_SUBTRACT | SE_PER_ROW, fp32(CB_INPUT), fp32(CB_MAXIMUM), fp32(CB_OUTPUT));
  return a->rows * row_bytes;
}

static uint64_t elements_apart(const struct arguments *a) {
  const uint64_t kept = a->elements / STEP;
  se_shape_with_steps(a->rows, kept, STEP, 1);
  se_strides(a->elements * 4, 0, kept * 4);
  se_unary(MTIA_SE_IDENTITY, fp32(CB_INPUT), fp32(CB_OUTPUT));
  return a->rows * kept * 4;
}

static uint64_t transpose_halves(const struct arguments *a) {
  mlu_shape_of_halves(a->rows, a->elements);
  mlu_strides(a->elements / 2, a->rows / 2);
  mlu_transpose(CB_INPUT, 0, CB_OUTPUT, 0);
  return a->rows * a->elements / 2;
}

uint32_t kernel_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(arguments, a, job);
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  const uint64_t bytes = a->form == HALVES ? a->rows * a->elements / 2 : a->rows * a->elements * 4;
  if (hart != 0) return MTIA_RESULT_OK;
  uint64_t end = KERNEL_BUFFERS_OFFSET;
  end = place_buffer(CB_INPUT, end, bytes);
  end = place_buffer(CB_MAXIMUM, end, a->rows * 4);
  place_buffer(CB_OUTPUT, end, bytes);
  dma_shape(1, bytes);
  dma_strides(bytes, bytes);
  dma_in(a->input + place.index * bytes, CB_INPUT);
  const uint64_t written = a->form == ONE_A_ROW ? one_a_row(a) : a->form == ELEMENTS_APART ? elements_apart(a) : transpose_halves(a);
  cb_push(CB_OUTPUT, written);
  dma_shape(1, written);
  dma_strides(written, written);
  dma_out(a->output + place.index * bytes, CB_OUTPUT);
  return MTIA_RESULT_OK;
}
