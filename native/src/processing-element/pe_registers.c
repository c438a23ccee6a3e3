/* The registers that a PE sees of itself (src/hw/registers.ts, block PE). */
#include <stddef.h>
#include "pe_internal.h"

#define MIP_SOFTWARE (1ull << 3)

typedef uint64_t register_read(const struct pe *pe, const struct hart *hart);
typedef void register_write(struct pe *pe, struct hart *hart, uint64_t value);

static uint64_t read_index(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->index; }
static uint64_t read_generation(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->generation; }
static uint64_t read_local_bytes(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->local_bytes; }
static uint64_t read_work_pending(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->work_pending; }
static uint64_t read_context(const struct pe *pe, const struct hart *hart) {
  (void)hart;
  return pe->context == MEMORY_NOBODY ? 0 : pe->context;
}
static uint64_t read_fault_hart(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->fault.hart; }
static uint64_t read_fault_cause(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->fault.cause; }
static uint64_t read_fault_pc(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->fault.pc; }
static uint64_t read_fault_value(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->fault.value; }
static uint64_t read_cycles(const struct pe *pe, const struct hart *hart) { return (void)pe, hart->cycles; }
static uint64_t read_time(const struct pe *pe, const struct hart *hart) {
  (void)hart;
  return pe->environment.time(pe->environment.context);
}
static uint64_t read_msip0(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->software_interrupt[0]; }
static uint64_t read_msip1(const struct pe *pe, const struct hart *hart) { return (void)hart, pe->software_interrupt[1]; }

static void write_job_done(struct pe *pe, struct hart *hart, uint64_t value) { pe_finish_job(pe, hart, (uint32_t)value); }
static void write_fault_hart(struct pe *pe, struct hart *hart, uint64_t value) {
  (void)hart;
  pe->fault.hart = (uint32_t)value;
}
static void write_fault_cause(struct pe *pe, struct hart *hart, uint64_t value) { (void)hart, pe->fault.cause = value; }
static void write_fault_pc(struct pe *pe, struct hart *hart, uint64_t value) { (void)hart, pe->fault.pc = value; }
static void write_fault_value(struct pe *pe, struct hart *hart, uint64_t value) { (void)hart, pe->fault.value = value; }

/* A hart that waits for the interrupt wakes at the time of the hart that raised it. */
static void write_msip(struct pe *pe, const struct hart *writer, uint32_t target, uint64_t value) {
  struct hart *const hart = &pe->hart[target];
  pe->software_interrupt[target] = value & 1;
  if ((value & 1) == 0) {
    atomic_fetch_and(&hart->mip, ~MIP_SOFTWARE);
    return;
  }
  atomic_fetch_or(&hart->mip, MIP_SOFTWARE);
  if (hart != writer && pe->standing[target] == STANDING_WAITING) hart->cycles = later(hart->cycles, writer->cycles);
}
static void write_msip0(struct pe *pe, struct hart *hart, uint64_t value) { write_msip(pe, hart, 0, value); }
static void write_msip1(struct pe *pe, struct hart *hart, uint64_t value) { write_msip(pe, hart, 1, value); }

struct pe_register {
  uint32_t offset, bytes;
  register_read *read;   /* NULL: reads zero */
  register_write *write; /* NULL: writes are ignored */
};

static const struct pe_register registers[] = {
    {MTIA_PE_PE_INDEX, 4, read_index, NULL},
    {MTIA_PE_GENERATION, 4, read_generation, NULL},
    {MTIA_PE_LOCAL_BYTES, 4, read_local_bytes, NULL},
    {MTIA_PE_WORK_PENDING, 4, read_work_pending, NULL},
    {MTIA_PE_JOB_CONTEXT, 4, read_context, NULL},
    {MTIA_PE_JOB_DONE, 8, NULL, write_job_done},
    {MTIA_PE_FAULT_HART, 4, read_fault_hart, write_fault_hart},
    {MTIA_PE_FAULT_CAUSE, 8, read_fault_cause, write_fault_cause},
    {MTIA_PE_FAULT_PC, 8, read_fault_pc, write_fault_pc},
    {MTIA_PE_FAULT_VALUE, 8, read_fault_value, write_fault_value},
    {MTIA_PE_CYCLES, 8, read_cycles, NULL},
    {MTIA_PE_MTIME, 8, read_time, NULL},
    {MTIA_PE_MSIP, 4, read_msip0, write_msip0},
    {MTIA_PE_MSIP + 4, 4, read_msip1, write_msip1},
};

/* A register answers to its own width; one of 64 bits also to a 32-bit access to its low half. */
static const struct pe_register *find(uint64_t offset, uint32_t width) {
  for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++)
    if (registers[i].offset == offset) return width == registers[i].bytes || width == 4 ? &registers[i] : NULL;
  return NULL;
}

/* Counters are arrays of 64-bit registers. False: no counter lies there. */
static bool read_counter(const struct pe *pe, uint64_t offset, uint64_t *value) {
  struct pe_counters counters;
  const struct { uint64_t offset, count; const uint64_t *values; } blocks[] = {
      {MTIA_PE_UNIT_BUSY_CYCLES, MTIA_UNITS, counters.busy_cycles},
      {MTIA_PE_UNIT_COMMANDS, MTIA_UNITS, counters.commands},
      {MTIA_PE_HART_STALL_CYCLES, PE_HARTS, counters.stall_cycles},
  };
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
    const uint64_t at = offset - blocks[i].offset;
    if (at >= blocks[i].count * 8 || at % 8 != 0) continue;
    pe_read_counters(pe, &counters);
    *value = blocks[i].values[at / 8];
    return true;
  }
  return false;
}

enum hart_access pe_register_read(struct pe *pe, struct hart *hart, uint64_t offset, uint32_t width, uint64_t *value) {
  if ((width == 8 || width == 4) && read_counter(pe, offset, value)) {
    if (width == 4) *value &= 0xffffffffu;
    return HART_ACCESS_OK;
  }
  const struct pe_register *const found = find(offset, width);
  if (found == NULL) return HART_ACCESS_FAULT;
  *value = found->read == NULL ? 0 : found->read(pe, hart);
  if (width == 4) *value &= 0xffffffffu;
  return HART_ACCESS_OK;
}

enum hart_access pe_register_write(struct pe *pe, struct hart *hart, uint64_t offset, uint32_t width, uint64_t value) {
  uint64_t counter;
  if ((width == 8 || width == 4) && read_counter(pe, offset, &counter)) return HART_ACCESS_OK;
  const struct pe_register *const found = find(offset, width);
  if (found == NULL) return HART_ACCESS_FAULT;
  if (found->write != NULL) found->write(pe, hart, value);
  return HART_ACCESS_OK;
}
