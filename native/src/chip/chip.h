/* The chip: every block of it, and the two things that concern them all, reset and halt. */
#ifndef MTIA_CHIP_H
#define MTIA_CHIP_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "chip_clock.h"
#include "console.h"
#include "control_core.h"
#include "control_watchdog.h"
#include "dma_engine.h"
#include "generated/mtia_hw.h"
#include "iommu.h"
#include "memory.h"
#include "memory_protection.h"
#include "msix.h"
#include "mtia.h"
#include "pci_config.h"
#include "pci_inbound.h"
#include "pe.h"
#include "queue_engine.h"
#include "scheduler.h"
#include "work_queue_engine.h"

/* Performance counters of the host interface; mtia_counters says what each counts. Any thread, relaxed. */
struct host_counters {
  _Atomic uint64_t doorbells, entries_fetched, posted_writes, read_completions;
  _Atomic uint64_t host_to_device_bytes, device_to_host_bytes, decompressed_bytes;
};

struct chip {
  struct host_counters host_counters;
  struct mtia_specification specification;
  uint32_t generation;
  const struct arithmetic_path *arithmetic;
  struct chip_clock clock;
  struct console console;
  struct memory *memory;
  struct iommu iommu;
  struct msix msix;
  struct pci_config config;
  struct queue_engine queue_engine;
  struct dma_engine dma_engine;
  struct work_queue_engine work_queue_engine;
  struct control_core control_core;
  struct control_watchdog control_watchdog;
  struct pci_inbound pci_inbound;
  struct scheduler scheduler;

  struct pe_environment pe_environment;
  struct code_cache *pe_code;
  uint8_t *pe_pages; /* of all PEs, one after the other */
  struct pe *pes[CHIP_PES];
  uint32_t pe_count;

  /* Reset, halt, resume and debug accesses take turns. */
  pthread_mutex_t administration;
  bool halted;
  /* Step mode: the hart that runs on the debugger's thread, and how far of its cycles the clock has come. NULL: none. */
  struct { const struct hart *hart; uint64_t cycles, remainder; } stepped;
};

/* 0, CHIP_NO_MEMORY or CHIP_SYSTEM. The parameters are checked. */
int32_t chip_create(const struct mtia_open_parameters *parameters, struct chip **chip);
/* Joins every thread. No other call is under way. */
void chip_destroy(struct chip *chip);
void chip_function_reset(struct chip *chip);
/* Hart threads at rest; administration is held. */
void chip_halt(struct chip *chip);
void chip_resume(struct chip *chip);
/* Around the run of a hart in step mode: its cycles pass on the clock. */
void chip_step_begin(struct chip *chip, const struct hart *hart);
void chip_step_end(struct chip *chip);
/* Device time for the hart that asks, on the thread that runs it. */
uint64_t chip_time(struct chip *chip);

/* Any thread: code has changed; every PE hart decodes it anew. */
void chip_fence_pes(struct chip *chip);

/* pci_bar.c: a write of BAR0 takes effect. */
void pci_bar_apply_write(struct chip *chip, uint32_t offset, uint32_t width, uint64_t value);

static inline void chip_count(_Atomic uint64_t *counter, uint64_t more) {
  atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

static inline uint32_t chip_grid(const struct chip *chip) {
  return (uint32_t)chip->specification.grid_width | (uint32_t)chip->specification.grid_height << 8;
}

/* Starts a thread that no signal of the host process interrupts. 0 or CHIP_SYSTEM. */
int32_t chip_thread_start(pthread_t *thread, const char *name, void *(*body)(void *), void *argument);

#endif
