/* The inside of a PE, shared by its units. */
#ifndef MTIA_PE_INTERNAL_H
#define MTIA_PE_INTERNAL_H
#include "command_processor.h"
#include "matmul.h"
#include "pe.h"
#include "pe_link.h"
#include "pe_sram_cache.h"
#include "simd_engine.h"

/* What the bits of an accumulator mean. */
enum accumulator_content { CONTENT_ANY /* zero or a bias */, CONTENT_FP32, CONTENT_INT32 };

struct accumulator_state {
  enum accumulator_content content;
  uint64_t ready;    /* device cycle from which products may be added: after ACC_INIT, or after REDUCE has read */
  uint64_t sum_done; /* when the last product will have been added */
};

/* A resource that serves one command after another. */
enum time_line { LINE_DPE, LINE_RE, LINE_SE, LINE_MLU, LINE_FI_REQUEST, LINE_FI_GET, LINE_FI_PUT, LINE_SRAM, LINE_LPDDR, TIME_LINES };

/* Cycles a byte in units of 2^-16, and what else the specification says in cycles. */
struct time_model {
  uint64_t local_memory, sram, lpddr, noc; /* cycles a byte; SRAM and LPDDR: of this PE's share */
  uint64_t se_elements, dpe_k_bytes;       /* per cycle */
  uint64_t dma_request;                    /* cycles of one */
  uint64_t sram_latency, lpddr_latency;    /* from request to data, and from data to acknowledgement */
  uint64_t free[TIME_LINES], busy[TIME_LINES];
};

/* How an index is made of row and column. */
#define PE_COLUMNS 8u
/* PEs of a job. */
struct pe_rectangle {
  uint32_t column, row, columns, rows;
};

/* 32 KiB of 64-byte lines, direct-mapped: the size of a hart's data cache is not published. Assumed. */
#define PE_CACHE_LINES 512

/* How a hart stood when it last stopped. */
enum hart_standing { STANDING_RUNNABLE, STANDING_WAITING, STANDING_STALLED };

struct pe {
  struct hart hart[PE_HARTS];
  enum hart_standing standing[PE_HARTS];
  struct hart_environment hart_environment;
  struct pe_environment environment;
  uint32_t index, generation;
  uint8_t *local_memory;
  bool local_is_fresh; /* still all zero */
  uint64_t local_bytes;
  struct command_processor cp;
  struct time_model time;
  union accumulator accumulators[MTIA_LIMIT_ACCUMULATORS];
  struct accumulator_state accumulator_states[MTIA_LIMIT_ACCUMULATORS];
  struct se_table tables[MTIA_LIMIT_SE_TABLES];
  const struct matmul_path *matmul;
  const struct se_path *se;
  struct pe_counters counters;
  struct pe_links links;
  /* The job */
  bool has_job;      /* between pe_start_job and JOB_DONE */
  bool work_pending; /* handed over to the harts */
  uint32_t context;
  struct pe_rectangle rectangle;
  struct sram_cache cache;
  uint64_t job_start;
  uint64_t settle_left; /* instructions in which the harts may still come to rest before the hand-over */
  struct pe_report fault;
  uint64_t turn_left; /* instructions that turn_hart may still run before the other hart has its turn */
  uint32_t turn_hart;
  uint8_t software_interrupt[PE_HARTS];
  /* Data caches (pe_hart_access.c): line number of each entry, with the epoch of the job that loaded it. */
  uint64_t cached_lines[PE_HARTS][PE_CACHE_LINES];
  uint16_t cache_epoch;
  _Atomic bool interrupted;
};

/* pe_hart_access.c: the environment of both harts */
enum hart_access pe_hart_read(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t *value);
enum hart_access pe_hart_write(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t value);
enum hart_access pe_hart_atomic(void *context, struct hart *hart, uint64_t address, uint32_t width, bool writes, uint8_t **memory);
void pe_drop_cached_lines(struct pe *pe);
const uint8_t *pe_hart_code_page(void *context, struct hart *hart, uint64_t address);
enum hart_access pe_register_read(struct pe *pe, struct hart *hart, uint64_t offset, uint32_t width, uint64_t *value);
enum hart_access pe_register_write(struct pe *pe, struct hart *hart, uint64_t offset, uint32_t width, uint64_t value);
void pe_finish_job(struct pe *pe, struct hart *hart, uint32_t result);

static inline uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }
static inline uint64_t cycles_of(uint64_t bytes, uint64_t cycles_a_byte) {
  return (bytes * cycles_a_byte + 0xffff) >> 16;
}
static inline uint64_t divide_up(uint64_t value, uint64_t by) { return (value + by - 1) / by; }

/* Occupies a time line for busy cycles from `ready` at the earliest; when that begins. */
static inline uint64_t time_line_take(struct pe *pe, enum time_line line, uint64_t ready, uint64_t busy) {
  const uint64_t start = later(ready, pe->time.free[line]);
  pe->time.free[line] = start + busy;
  pe->time.busy[line] += busy;
  return start;
}

static inline uint32_t data_type_bytes(uint64_t type) {
  static const uint8_t bytes[] = {
      [MTIA_TYPE_INT8] = 1, [MTIA_TYPE_FP16] = 2, [MTIA_TYPE_BF16] = 2, [MTIA_TYPE_FP32] = 4, [MTIA_TYPE_INT32] = 4};
  return bytes[type];
}

/* From request to data of SRAM or LPDDR, in cycles (fabric_interface.c). */
uint64_t memory_latency(const struct pe *pe, uint64_t address);
/* Passes bytes through the memory layout unit to the dot-product engine, from `ready` on; when they are there. */
uint64_t mlu_stream(struct pe *pe, uint64_t ready, uint64_t bytes);

/* Commands of the units: prepare and execute. */
bool dma_prepare(struct pe *pe, struct command *command);
bool dma_execute(struct pe *pe, struct command *command);
bool dma_indexed_prepare(struct pe *pe, struct command *command);
bool dma_indexed_execute(struct pe *pe, struct command *command);
bool dma_prefetch_prepare(struct pe *pe, struct command *command);
bool dma_prefetch_execute(struct pe *pe, struct command *command);
bool mml_prepare(struct pe *pe, struct command *command);
bool mml_execute(struct pe *pe, struct command *command);
void mml_accepted(struct pe *pe, const struct command *command);
bool mml_sparse_prepare(struct pe *pe, struct command *command);
bool mml_sparse_execute(struct pe *pe, struct command *command);
bool acc_init_prepare(struct pe *pe, struct command *command);
bool acc_init_execute(struct pe *pe, struct command *command);
bool reduce_prepare(struct pe *pe, struct command *command);
bool reduce_execute(struct pe *pe, struct command *command);
bool re_row_range_prepare(struct pe *pe, struct command *command);
bool re_row_range_execute(struct pe *pe, struct command *command);
bool atomic_prepare(struct pe *pe, struct command *command);
bool barrier_prepare(struct pe *pe, struct command *command);
bool atomic_execute(struct pe *pe, struct command *command);
bool atomic_may_go_on(const struct pe *pe, const struct command *command);
/* What the hart stands at, which is an atomic operation. */
int atomic_describe(const struct pe *pe, uint32_t hart, char *text, uint32_t bytes);
/* Whether another PE could end what the hart waits for. */
bool atomic_awaits(const struct pe *pe, uint32_t hart);
/* When the operation that a hart of a PE at rest stands at can be done, in cycles of the job; UINT64_MAX: not yet, or none. */
uint64_t atomic_time(struct pe *const *pes, uint64_t mask, const struct pe *pe, uint32_t hart);
/* Does it. The PEs that may go on, as bits. */
uint64_t atomic_perform(struct pe *const *pes, uint64_t mask, struct pe *pe, uint32_t hart, uint64_t time);
bool reduce_send_prepare(struct pe *pe, struct command *command);
bool reduce_send_execute(struct pe *pe, struct command *command);
bool reduce_receive_prepare(struct pe *pe, struct command *command);
bool reduce_receive_execute(struct pe *pe, struct command *command);
bool se_load_table_prepare(struct pe *pe, struct command *command);
bool se_load_table_execute(struct pe *pe, struct command *command);
bool se_unary_prepare(struct pe *pe, struct command *command);
bool se_unary_execute(struct pe *pe, struct command *command);
bool se_binary_prepare(struct pe *pe, struct command *command);
bool se_binary_execute(struct pe *pe, struct command *command);
bool se_row_accumulate_prepare(struct pe *pe, struct command *command);
bool se_row_accumulate_execute(struct pe *pe, struct command *command);
bool se_quantize_prepare(struct pe *pe, struct command *command);
bool se_quantize_execute(struct pe *pe, struct command *command);
bool se_row_reduce_prepare(struct pe *pe, struct command *command);
bool se_row_reduce_execute(struct pe *pe, struct command *command);
bool mlu_prepare(struct pe *pe, struct command *command);
bool mlu_transpose_execute(struct pe *pe, struct command *command);
bool mlu_copy_execute(struct pe *pe, struct command *command);

#endif
