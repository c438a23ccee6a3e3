/* CONVERT and UNARY: the same kernel under two names, because a graph reads better with both. */
#ifndef MTIA_CONVERT_H
#define MTIA_CONVERT_H
#include "row_transform.h"

#define CONVERT_ELEMENTS_LIMIT 8192ull
/* A shorter piece is not worth a PE of its own. */
#define CONVERT_LINE_SHORTEST 256ull

static inline bool convert_arguments_are_good(const struct mtia_convert_arguments *a) {
  if (a->input_type > MTIA_TYPE_INT32 || a->output_type > MTIA_TYPE_INT32) return false;
  if (a->elements > CONVERT_ELEMENTS_LIMIT || !activation_is_known(a->function) || a->pad > 1) return false;
  const uint64_t output_row = a->elements * type_bytes(a->output_type);
  if (a->output_stride < output_row || (a->output_stride % 32 != 0 && (a->pad || a->output_stride != output_row)))
    return false;
  /* Units read and write whole elements. */
  const uint64_t input = a->input | a->input_stride, output = a->output | a->output_stride;
  return input % type_bytes(a->input_type) == 0 && output % type_bytes(a->output_type) == 0 &&
         (!a->pad || output % 8 == 0);
}

static inline uint32_t plan_and_load(const struct mtia_job_descriptor *job, const struct mtia_convert_arguments *a) {
  struct pe_place place;
  if (!find_place(job, &place)) return MTIA_RESULT_BAD_GRID;
  if (!convert_arguments_are_good(a)) return MTIA_RESULT_BAD_ARGUMENT;
  struct transform t = {
      .input = a->input, .output = a->output, .input_stride = a->input_stride, .output_stride = a->output_stride,
      .rows = a->rows, .elements = a->elements, .last_elements = a->elements,
      .input_type = a->input_type, .output_type = a->output_type, .activation = a->function,
      .pad = a->pad && a->output_stride != a->elements * type_bytes(a->output_type)};
  const bool input_is_dense = t.input_stride == t.elements * type_bytes(t.input_type);
  const bool output_is_dense = t.output_stride == t.elements * type_bytes(t.output_type);
  if (input_is_dense && output_is_dense)
    cut_line(&t, place.count, CONVERT_LINE_SHORTEST, CONVERT_ELEMENTS_LIMIT);
  return load_transform(&t, &place, pe_generation());
}

static inline uint32_t convert_main(const struct mtia_job_descriptor *job, uint32_t hart) {
  KERNEL_ARGUMENTS(mtia_convert_arguments, arguments, job);
  if (hart == 0) return plan_and_load(job, arguments);
  buffers_ready(1);
  return finish_transform(THROUGH_SE);
}

#endif
