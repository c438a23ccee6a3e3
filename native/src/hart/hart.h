/*
 * A RISC-V hart: RV64IMAFDC, Zicsr, Zifencei, machine mode (unprivileged specification 20191213, privileged 1.12).
 * A hart knows no chip: memory, custom instructions and interrupts reach it through this header only.
 */
#ifndef MTIA_HART_H
#define MTIA_HART_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hart;
struct code_cache; /* decoded code pages, shared by all harts that see the same memory (code_cache.h) */

/* Memory that a hart may reach by pointer. */
struct hart_region {
  uint64_t base;
  uint64_t bytes;
  uint8_t *memory;
  uint8_t readable, writable, executable;
};
#define HART_REGIONS 4

/* Result of a slow access. */
enum hart_access {
  HART_ACCESS_OK,
  HART_ACCESS_FAULT,
  HART_ACCESS_MISALIGNED, /* memory takes any address, registers multiples of the width */
  HART_ACCESS_HARDWARE_ERROR /* memory has lost what was there */
};

/* Result of a custom instruction. */
enum hart_custom {
  HART_CUSTOM_DONE,    /* rd = *result, go on */
  HART_CUSTOM_STALL,   /* not now: leave the pc, stop with HART_STALLED; the instruction is issued again on the next run */
  HART_CUSTOM_TRAP,    /* raise exception *cause with value *result */
  HART_CUSTOM_ILLEGAL  /* illegal instruction */
};

/* What surrounds a hart. All functions run on the thread that called hart_run. */
struct hart_environment {
  void *context;
  /* Any access outside the regions, of width 1, 2, 4 or 8, at any address. */
  enum hart_access (*read)(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t *value);
  enum hart_access (*write)(void *context, struct hart *hart, uint64_t address, uint32_t width, uint64_t value);
  /* Memory outside the regions for an atomic of width 4 or 8 at a multiple of it. LR does not write. */
  enum hart_access (*atomic)(void *context, struct hart *hart, uint64_t address, uint32_t width, bool writes, uint8_t **memory);
  /* Pointer to the 4096-byte page of code outside the regions, or NULL (instruction access fault). */
  const uint8_t *(*code_page)(void *context, struct hart *hart, uint64_t address);
  /*
   * custom-0 and custom-1: the whole instruction word with the values of rs1 and rs2. custom-1 is DONE or ILLEGAL, without a look
   * at the hart's counters and without floating point.
   */
  enum hart_custom (*custom)(void *context, struct hart *hart, uint32_t instruction, uint64_t rs1, uint64_t rs2, uint64_t *result, uint64_t *cause);
  uint64_t (*time)(void *context); /* CSR time and MTIME */
};

enum hart_stop {
  HART_BUDGET,   /* ran the instructions it was given */
  HART_WAITING,  /* wfi, and no enabled interrupt is pending */
  HART_STALLED,  /* a custom instruction cannot go on yet */
  HART_HALTED    /* hart->halt_request was set */
};

struct hart {
  uint64_t x[32];
  uint64_t pc;
  uint64_t f[32]; /* NaN-boxed where single */
  uint64_t instructions; /* CSR instret, exact whenever hart_run has returned */
  uint64_t cycles;       /* device cycles; the environment adds to it, hart_run adds one an instruction */
  uint32_t fcsr;
  /* machine CSRs */
  uint64_t mstatus, mie, mtvec, mscratch, mepc, mcause, mtval;
  uint64_t reservation; /* LR/SC: the address, plus 1 where LR.D made it; ~0 = none */
  uint64_t id;          /* mhartid */
  /* Interrupt lines (bits 3, 7, 11 of mip); other threads set them, then wake the thread that runs the hart. */
  _Atomic uint64_t mip;
  _Atomic bool halt_request;
  /* The next hart_run drops decoded code first (another agent wrote code). */
  _Atomic bool fence_request;
  const struct hart_environment *environment;
  struct hart_region regions[HART_REGIONS];
  struct code_cache *code;
  void *decoder; /* private to hart.c */
};

/* Prepares memory of the hart; regions and environment are filled in by the caller. 0 or CHIP_NO_MEMORY. */
int hart_create(struct hart *hart, uint64_t id, const struct hart_environment *environment, struct code_cache *code);
void hart_destroy(struct hart *hart);
/* Reset state of the privileged specification, at pc. */
void hart_reset(struct hart *hart, uint64_t pc);
/* Runs at most budget instructions (a few more where a block ends). Traps are taken inside. */
enum hart_stop hart_run(struct hart *hart, uint64_t budget);
/*
 * Takes a trap at the instruction boundary where the hart stands: mepc = pc, mcause = cause, mtval = value, mstatus and pc as
 * for any synchronous exception. Called between two hart_run. The PE needs it for faults of commands that it started long
 * after the instruction that issued them (COMMAND_BUS_FAULT out of the list of pending commands).
 */
void hart_raise(struct hart *hart, uint64_t cause, uint64_t value);
/* Registers by debug number (mtia.h). False: no such register. */
bool hart_register_read(const struct hart *hart, uint32_t number, uint64_t *value);
bool hart_register_write(struct hart *hart, uint32_t number, uint64_t value);

/* The cache of decoded pages. Thread-safe. Pages are immutable; a changed page is decoded anew at the next fetch after a fence. */
struct code_cache *code_cache_create(void);
void code_cache_destroy(struct code_cache *cache);

#endif
