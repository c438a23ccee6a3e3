#include "control_watchdog.h"
#include <stdio.h>
#include <string.h>
#include "chip.h"

/* What one look may add: time in which the host gave the thread no processor is not the firmware's. */
#define MOST_NS_BETWEEN_LOOKS 10000000u
enum { NOT_RECORDED, BEING_RECORDED, RECORDED };

void control_watchdog_reset(struct chip *chip) {
  struct control_watchdog *watchdog = &chip->control_watchdog;
  watchdog->period = watchdog->counted = watchdog->looked_at = 0;
  memset(watchdog->report, 0, sizeof(watchdog->report));
  atomic_store(&watchdog->recorded, NOT_RECORDED);
}

bool control_watchdog_look(struct chip *chip) {
  struct control_watchdog *watchdog = &chip->control_watchdog;
  if (atomic_load_explicit(&watchdog->recorded, memory_order_relaxed) != NOT_RECORDED) return true;
  if (watchdog->period == 0) return false;
  uint64_t now = chip_clock_now(&chip->clock), passed = now - watchdog->looked_at;
  watchdog->looked_at = now;
  bool waits = (atomic_load_explicit(&chip->control_core.waiting, memory_order_relaxed) & 1) != 0;
  if (!waits) watchdog->counted += passed < MOST_NS_BETWEEN_LOOKS ? passed : MOST_NS_BETWEEN_LOOKS;
  if (watchdog->counted < watchdog->period) return false;
  control_watchdog_record(chip);
  return true;
}

void control_watchdog_record(struct chip *chip) {
  struct control_watchdog *watchdog = &chip->control_watchdog;
  struct mailbox *mailbox = &chip->control_core.mailbox;
  uint32_t expected = NOT_RECORDED;
  if (!atomic_compare_exchange_strong(&watchdog->recorded, &expected, BEING_RECORDED)) return;
  if (!pci_inbound_describe(chip, watchdog->report, sizeof(watchdog->report))) {
    snprintf(watchdog->report, sizeof(watchdog->report), "control hart 0 runs and does not kick the watchdog");
  }
  atomic_store(&mailbox->boot_error, MTIA_ERROR_WATCHDOG_EXPIRED);
  atomic_store(&watchdog->recorded, RECORDED);
  /* Last: whoever sees the status reads the rest. */
  atomic_store(&mailbox->boot_status, MTIA_BOOT_FAILED);
  pci_inbound_kill(chip);
  control_core_notify(chip);
}

uint64_t control_watchdog_report(struct chip *chip, uint32_t offset) {
  uint64_t word = 0;
  if (atomic_load(&chip->control_watchdog.recorded) == RECORDED) memcpy(&word, chip->control_watchdog.report + offset, sizeof(word));
  return word;
}

bool watchdog_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  (void)chip;
  *value = 0;
  return offset == MTIA_WATCHDOG_KICK;
}

bool watchdog_read64(struct chip *chip, uint32_t offset, uint64_t *value) {
  *value = chip->control_watchdog.period;
  return offset == MTIA_WATCHDOG_PERIOD;
}

bool watchdog_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  (void)value;
  if (offset == MTIA_WATCHDOG_KICK) chip->control_watchdog.counted = 0;
  return offset == MTIA_WATCHDOG_KICK;
}

bool watchdog_write64(struct chip *chip, uint32_t offset, uint64_t value) {
  if (offset != MTIA_WATCHDOG_PERIOD) return false;
  chip->control_watchdog.period = value;
  chip->control_watchdog.counted = 0;
  chip->control_watchdog.looked_at = chip_clock_now(&chip->clock);
  return true;
}
