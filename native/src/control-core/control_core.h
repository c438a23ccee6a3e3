/* The control core: its harts on one thread, the timer, and what its harts see on the bus. */
#ifndef MTIA_CONTROL_CORE_H
#define MTIA_CONTROL_CORE_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "event_count.h"
#include "hart.h"

struct chip;

#define CONTROL_HARTS 4

/* BAR0 and MAILBOX: one storage, seen from two sides. */
struct mailbox {
  _Atomic uint32_t boot_status, boot_error, firmware_version, firmware_abi, boot_doorbell, boot_memory, reset_count;
  _Atomic uint64_t firmware_capabilities, boot_image_address, boot_image_bytes, window_base;
  _Atomic uint64_t panic_cause, panic_pc, panic_value;
};

struct control_core {
  struct hart harts[CONTROL_HARTS];
  uint32_t hart_count;
  uint32_t harts_created;
  struct code_cache *code;
  struct hart_environment environment;
  uint8_t *boot_rom, *context_sram, *descriptor_sram;

  /* Peripherals, of the control thread. */
  uint64_t timer_compare[CONTROL_HARTS];
  uint32_t timer_due; /* bit per hart: MTIME >= MTIMECMP, as of the last look at the clock */
  uint64_t interrupts_delivered_at; /* host time */
  uint32_t software_interrupt[CONTROL_HARTS];
  uint32_t interrupt_enable[CONTROL_HARTS];
  uint64_t protection_address;
  uint32_t protection_pages, protection_error;
  struct mailbox mailbox;

  struct event_count wake;
  pthread_t thread;
  bool thread_runs;
  _Atomic bool stopping;
  /* How many want the thread at rest, and whether it is. */
  pthread_mutex_t pause_lock;
  pthread_cond_t pause_changed;
  _Atomic uint32_t pause_count;
  bool at_rest;
  /* For other threads: instructions so far, and a bit per hart that waits in wfi. */
  _Atomic uint64_t instructions;
  _Atomic uint32_t waiting;
};

/* 0, CHIP_NO_MEMORY or CHIP_SYSTEM. */
int32_t control_core_create(struct chip *chip);
void control_core_destroy(struct chip *chip);
int32_t control_core_start(struct chip *chip);
void control_core_stop(struct chip *chip);
/* Any thread: there may be something to do. */
void control_core_notify(struct chip *chip);
/* Returns when the thread stands between two instructions; it stays there until as many resume. */
void control_core_pause(struct chip *chip);
void control_core_resume(struct chip *chip);
/* Step mode: runs one hart on the calling thread, with SRAM executable. At rest. */
enum hart_stop control_core_run_hart(struct chip *chip, uint32_t hart, uint64_t instructions);
/* Power-on state, harts at the boot ROM. At rest. */
void control_core_reset(struct chip *chip);
/* Control thread: recomputes the interrupt lines of the harts; the timer's after a look at the clock (update_timers). */
void control_core_update_lines(struct chip *chip);
/* Control thread, or the chip at rest: the scratchpad has another size, or flipped bits came or went. Harts see it from their next slice on. */
void control_core_map_memory(struct chip *chip);
void control_core_update_timers(struct chip *chip);

/* control_bus.c: what lies outside the regions that harts reach by pointer. */
enum hart_access control_bus_read(void *chip, struct hart *hart, uint64_t address, uint32_t width, uint64_t *value);
enum hart_access control_bus_write(void *chip, struct hart *hart, uint64_t address, uint32_t width, uint64_t value);
enum hart_access control_bus_atomic(void *chip, struct hart *hart, uint64_t address, uint32_t width, bool writes, uint8_t **memory);
const uint8_t *control_bus_code_page(void *chip, struct hart *hart, uint64_t address);
/* Memory (no registers) as the control core sees it; NULL where there is none. read_only is set for the ROM. */
uint8_t *control_bus_memory(struct chip *chip, uint64_t address, uint64_t bytes, bool *read_only);
/* As above, memory that engines read their operands from: context SRAM and descriptor SRAM. */
const uint8_t *control_bus_operand(struct chip *chip, uint64_t address, uint64_t bytes);

/* peripherals.c */
bool timer_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool timer_read64(struct chip *chip, uint32_t offset, uint64_t *value);
bool timer_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool timer_write64(struct chip *chip, uint32_t offset, uint64_t value);
bool interrupt_controller_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool interrupt_controller_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool uart_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool uart_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool mailbox_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool mailbox_read64(struct chip *chip, uint32_t offset, uint64_t *value);
bool mailbox_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool mailbox_write64(struct chip *chip, uint32_t offset, uint64_t value);
bool system_control_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool system_control_read64(struct chip *chip, uint32_t offset, uint64_t *value);
bool system_control_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool system_control_write64(struct chip *chip, uint32_t offset, uint64_t value);

#endif
