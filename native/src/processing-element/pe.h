/*
 * A processing element: two harts, local memory, command processor with circular buffers, and the units
 * FI, DPE, RE, SE, MLU. One thread at a time runs a PE (pe_run); only the functions marked so are called from others.
 */
#ifndef MTIA_PE_H
#define MTIA_PE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "hart.h"
#include "memory.h"
#include "generated/mtia_hw.h"

struct pe;
struct arithmetic_path;

struct pe_report {
  uint32_t result; /* error code */
  uint32_t hart;
  uint64_t cause, pc, value;
  uint64_t cycles; /* device cycles from pe_start_job to the end */
};

/* What a PE reports to the chip. Called on the thread that runs the PE. */
struct pe_environment {
  void *context;
  struct memory *memory;
  const struct mtia_specification *specification;
  uint64_t (*time)(void *context);
  /* JOB_DONE was written: the job of this PE has ended. */
  void (*job_done)(void *context, struct pe *pe, const struct pe_report *report);
  /* Another PE of the grid, by index. */
  struct pe *(*peer)(void *context, uint32_t index);
  /* Something has arrived for the peer (pe_link.h): it may be able to go on. */
  void (*wake_peer)(void *context, struct pe *peer);
};

struct pe_counters {
  uint64_t instructions, unit_commands, dma_bytes, matmul_multiplies;
  uint64_t busy_cycles[MTIA_UNITS], commands[MTIA_UNITS], stall_cycles[2]; /* of units and of harts */
  uint64_t sram_read_bytes, sram_written_bytes, lpddr_read_bytes, lpddr_written_bytes; /* by DMA, in units of 32 bytes */
  uint64_t cache_hit_bytes, cache_missed_bytes, cache_written_back_bytes; /* of the SRAM cache, in its sectors */
  uint64_t multicast_saved_bytes; /* that a memory need not deliver again: other members of the group had them read */
};

enum pe_state {
  PE_IDLE,     /* both harts wait for an interrupt and no job is pending: nothing to run until something wakes it */
  PE_RUNNABLE, /* ran its budget; run again */
  PE_BLOCKED   /* has a job, but no hart can go on until something arrives from another PE of the job, if ever */
};

/* Of a PE and its local memory: whole pages of the host. */
size_t pe_bytes(const struct mtia_specification *specification);
/* pages: pe_bytes() of zeros, at the start of a page, which the caller keeps. Returns NULL where memory is short. */
struct pe *pe_create(uint8_t *pages, uint32_t index, const struct pe_environment *environment, struct code_cache *code,
                     const struct arithmetic_path *arithmetic);
void pe_destroy(struct pe *pe);
/* Clears units and local memory and starts both harts at vector. Not while pe_run is under way. */
void pe_reset(struct pe *pe, uint64_t vector);
/*
 * Copies a job descriptor into local memory, sets the context, raises WORK_PENDING. Not while pe_run is under way. The time
 * model shares SRAM, LPDDR and NoC bandwidth among the PEs of the descriptor's rectangle: what happens to run at the same
 * moment depends on the host's scheduling, and device time must not. number: of the job, the same at all of its PEs, growing
 * from job to job, not 0.
 */
void pe_start_job(struct pe *pe, const struct mtia_job_descriptor *descriptor, uint64_t number);
/* Runs both harts in turn until the PE is idle or blocked, or about budget instructions have run. */
enum pe_state pe_run(struct pe *pe, uint64_t budget);
/* Step mode: runs one hart alone, whether the other could run or not. Not while pe_run is under way. */
enum hart_stop pe_run_hart(struct pe *pe, uint32_t hart, uint64_t instructions);
/* Any thread: makes pe_run return soon (reset, halt). */
void pe_interrupt(struct pe *pe);
uint32_t pe_index(const struct pe *pe);
struct hart *pe_hart(struct pe *pe, uint32_t hart);
uint8_t *pe_local_memory(struct pe *pe, uint64_t *bytes);
/* Of both harts since pe_create; whole where neither runs, and at the end of a job. */
uint64_t pe_instructions(const struct pe *pe);
void pe_read_counters(const struct pe *pe, struct pe_counters *counters);
/* What a hart stands at (MTIA_HART_AT_* or the code of a unit command), and where. The thread that runs the PE. */
uint32_t pe_hart_at(const struct pe *pe, uint32_t hart, uint64_t *pc);
void pe_wait_reason(const struct pe *pe, uint32_t hart, char *text, uint32_t bytes);

#endif
