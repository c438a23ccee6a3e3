/* The watchdog of the control core. It counts device time in which hart 0 runs; in wfi it stands still, as the chip's clock
 * does while a debugger holds it. When it expires the core stops until a reset, and says who waits for whom. */
#ifndef MTIA_CONTROL_WATCHDOG_H
#define MTIA_CONTROL_WATCHDOG_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "generated/mtia_hw.h"

struct chip;

struct control_watchdog {
  uint64_t period, counted, looked_at; /* nanoseconds; of the control thread */
  _Atomic uint32_t recorded;           /* 0, 1 while the report is written, 2 when it stands */
  char report[MTIA_WATCHDOG_REPORT_BYTES];
};

void control_watchdog_reset(struct chip *chip);
/* Control thread, between two slices. True where the core has stopped. */
bool control_watchdog_look(struct chip *chip);
/* Any thread: the core makes no progress; writes the report, once, and stops it. */
void control_watchdog_record(struct chip *chip);
/* Eight bytes of the report for BAR0. */
uint64_t control_watchdog_report(struct chip *chip, uint32_t offset);

bool watchdog_read32(struct chip *chip, uint32_t offset, uint32_t *value);
bool watchdog_read64(struct chip *chip, uint32_t offset, uint64_t *value);
bool watchdog_write32(struct chip *chip, uint32_t offset, uint32_t value);
bool watchdog_write64(struct chip *chip, uint32_t offset, uint64_t value);

#endif
