/*
 * The activations of fused kernels and of UNARY: which function of the SIMD engine computes one, and the lookup table that
 * it needs. A kernel that includes this carries both tables in its image.
 */
#ifndef MTIA_ACTIVATION_H
#define MTIA_ACTIVATION_H
#include "mtia_kernel.h"
#include "tables/se_tables.h"

#define ACTIVATION_TABLE_BYTES ((uint64_t)sizeof se_table_sigmoid)
_Static_assert(sizeof se_table_sigmoid == sizeof se_table_tanh, "one size serves both tables");
_Static_assert(sizeof se_table_sigmoid % 32 == 0 && sizeof se_table_sigmoid <= MTIA_LIMIT_SE_TABLE_BYTES, "fits a slot");

static inline bool activation_is_known(uint64_t activation) { return activation <= MTIA_ACTIVATION_TANH; }
static inline bool activation_needs_table(uint64_t activation) { return activation >= MTIA_ACTIVATION_SIGMOID; }
/* Bytes of the circular buffer that activation_load reads through. */
static inline uint64_t activation_buffer_bytes(uint64_t activation) {
  return activation_needs_table(activation) ? ACTIVATION_TABLE_BYTES : 32;
}
static inline uint64_t activation_function(uint64_t activation) {
  return activation_needs_table(activation)      ? MTIA_SE_TABLE_0
         : activation == MTIA_ACTIVATION_RELU ? MTIA_SE_RELU
                                              : MTIA_SE_IDENTITY;
}
/* Brings the table from the image of the kernel into slot 0. The table ends up in the engine, so the buffer is free again. */
static inline void activation_load(uint64_t activation, uint64_t cb) {
  if (!activation_needs_table(activation)) return;
  const uint32_t *const table = activation == MTIA_ACTIVATION_SIGMOID ? se_table_sigmoid : se_table_tanh;
  dma_shape(1, ACTIVATION_TABLE_BYTES);
  dma_strides(ACTIVATION_TABLE_BYTES, ACTIVATION_TABLE_BYTES);
  dma_in((uint64_t)(uintptr_t)table, cb);
  const uint64_t place = (uint64_t)(uintptr_t)cb_wait_data(cb, ACTIVATION_TABLE_BYTES);
  se_load_table(0, place - MTIA_PE_LOCAL_BASE, ACTIVATION_TABLE_BYTES);
  cb_pop(cb, ACTIVATION_TABLE_BYTES);
}

#endif
