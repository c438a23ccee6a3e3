/* The control firmware: one loop that sleeps until the chip has something for it. */
#include "bytes.h"
#include "commands.h"
#include "console.h"
#include "control.h"
#include "copies.h"
#include "jobs.h"
#include "kernels.h"
#include "mmio.h"
#include "queues.h"
#include "timers.h"

_Noreturn void control_main(uint64_t bundle, uint64_t bundle_bytes);
void control_panic(uint64_t cause, uint64_t pc, uint64_t value);

/* What an interrupt source is served by, in the order in which they are looked at. */
static const struct {
  uint32_t source;
  void (*serve)(struct control *);
} SOURCES[] = {
    /* First: entries that are noted afterwards belong to the queue's new life. */
    {1u << MTIA_INTERRUPT_QUEUE_CHANGED, queues_changed},
    {1u << MTIA_INTERRUPT_JOB_DONE, jobs_collect},
    {1u << MTIA_INTERRUPT_MEMORY_COPY_DONE, copies_collect},
    {1u << MTIA_INTERRUPT_SUBMISSION, queues_fetch},
};
#define SOURCE_COUNT (sizeof SOURCES / sizeof SOURCES[0])

static struct control the_control;

static void set_boot_status(uint32_t status) { mmio_write32(REGISTER(MAILBOX, BOOT_STATUS), status); }

static uint32_t initialise(struct control *control, uint64_t bundle, uint64_t bundle_bytes) {
  chip_identify(&control->chip);
  page_owners_initialise(&control->owners, control->chip.sram_bytes, control->chip.lpddr_bytes);
  const uint32_t error = bundle_read(&control->bundle, bundle, bundle_bytes, control->chip.lpddr_bytes);
  if (error != MTIA_ERROR_OK) return error;
  kernels_initialise(control);
  queues_initialise(&control->queues);
  jobs_initialise(&control->jobs);
  timers_initialise(control);
  control->capabilities = command_capabilities(&control->chip);
  return monitor_start(control);
}

static void announce(const struct control *control) {
  const uint32_t version = control->bundle.header.firmware_version;
  mmio_write32(REGISTER(MAILBOX, FIRMWARE_VERSION), version);
  mmio_write32(REGISTER(MAILBOX, FIRMWARE_ABI), MTIA_PROTOCOL_VERSION);
  mmio_write64(REGISTER(MAILBOX, FIRMWARE_CAPABILITIES), control->capabilities);
  console_text("control firmware ");
  console_decimal(version >> 24);
  console_text(".");
  console_decimal(version >> 16 & 0xff);
  console_text(".");
  console_decimal(version & 0xffff);
  console_text(", ");
  console_decimal(control->kernels.count);
  console_text(" kernels, ");
  console_decimal(control->chip.columns * control->chip.rows);
  console_text(" PEs\n");
  set_boot_status(MTIA_BOOT_READY);
}

static void enable_interrupts(void) {
  uint32_t sources = 0;
  for (uint32_t i = 0; i < SOURCE_COUNT; i++) sources |= SOURCES[i].source;
  mmio_write32(REGISTER(INTERRUPT_CONTROLLER, ENABLE), sources);
  CSR_WRITE(mie, INTERRUPT_EXTERNAL | INTERRUPT_TIMER);
}

static void serve(struct control *control) {
  const uint32_t pending = mmio_read32(REGISTER(INTERRUPT_CONTROLLER, PENDING));
  for (uint32_t i = 0; i < SOURCE_COUNT; i++) {
    if ((pending & SOURCES[i].source) != 0) SOURCES[i].serve(control);
  }
  if ((CSR_READ(mip) & INTERRUPT_TIMER) != 0) timers_expired(control);
  queues_run(control);
  /* Failed and stopped jobs free PEs outside jobs_collect as well. */
  jobs_start_waiting(control);
  mmio_write32(REGISTER(WATCHDOG, KICK), 1);
}

static void fail(uint32_t error) {
  mmio_write32(REGISTER(MAILBOX, BOOT_ERROR), error);
  set_boot_status(MTIA_BOOT_FAILED);
}

_Noreturn void control_main(uint64_t bundle, uint64_t bundle_bytes) {
  struct control *control = &the_control;
  const uint32_t error = initialise(control, bundle, bundle_bytes);
  if (error != MTIA_ERROR_OK) {
    fail(error);
    for (;;) wait_for_interrupt();
  }
  mmio_write64(REGISTER(WATCHDOG, PERIOD), MTIA_WATCHDOG_NS);
  enable_interrupts();
  announce(control);
  for (;;) {
    wait_for_interrupt();
    serve(control);
  }
}

void control_panic(uint64_t cause, uint64_t pc, uint64_t value) {
  mmio_write64(REGISTER(MAILBOX, PANIC_CAUSE), cause);
  mmio_write64(REGISTER(MAILBOX, PANIC_PC), pc);
  mmio_write64(REGISTER(MAILBOX, PANIC_VALUE), value);
  console_text("control firmware: trap, cause ");
  console_hexadecimal(cause);
  console_text(", pc ");
  console_hexadecimal(pc);
  console_text(", value ");
  console_hexadecimal(value);
  console_text("\n");
  fail(MTIA_ERROR_FIRMWARE_PANIC);
}
