/* Timer, UART, mailbox and system control of the control core. All calls come from the control thread. */
#include "chip.h"

/* --- timer --- */

static uint32_t timer_hart(uint32_t offset, uint32_t first, uint32_t stride) {
  bool inside = offset >= first && offset < first + CONTROL_HARTS * stride && offset % stride == 0;
  return inside ? (offset - first) / stride : CONTROL_HARTS;
}

bool timer_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  uint32_t hart = timer_hart(offset, MTIA_TIMER_MSIP, 4);
  if (hart == CONTROL_HARTS) return false;
  *value = chip->control_core.software_interrupt[hart];
  return true;
}

bool timer_read64(struct chip *chip, uint32_t offset, uint64_t *value) {
  uint32_t hart = timer_hart(offset, MTIA_TIMER_MTIMECMP, 8);
  if (offset == MTIA_TIMER_MTIME) *value = chip_time(chip);
  else if (hart < CONTROL_HARTS) *value = chip->control_core.timer_compare[hart];
  else return false;
  return true;
}

bool timer_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  uint32_t hart = timer_hart(offset, MTIA_TIMER_MSIP, 4);
  if (hart == CONTROL_HARTS) return false;
  chip->control_core.software_interrupt[hart] = value & 1;
  return true;
}

bool timer_write64(struct chip *chip, uint32_t offset, uint64_t value) {
  uint32_t hart = timer_hart(offset, MTIA_TIMER_MTIMECMP, 8);
  if (hart < CONTROL_HARTS) {
    chip->control_core.timer_compare[hart] = value;
    control_core_update_timers(chip);
  }
  return hart < CONTROL_HARTS || offset == MTIA_TIMER_MTIME;
}

/* --- UART --- */

bool uart_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  (void)chip;
  *value = offset == MTIA_UART_STATUS; /* always ready */
  return offset == MTIA_UART_STATUS || offset == MTIA_UART_TRANSMIT;
}

bool uart_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  if (offset == MTIA_UART_TRANSMIT) console_write(&chip->console, (char)value);
  return offset == MTIA_UART_TRANSMIT || offset == MTIA_UART_STATUS;
}

/* --- mailbox --- */

static _Atomic uint32_t *mailbox_word(struct mailbox *mailbox, uint32_t offset) {
  switch (offset) {
    case MTIA_MAILBOX_BOOT_STATUS: return &mailbox->boot_status;
    case MTIA_MAILBOX_BOOT_ERROR: return &mailbox->boot_error;
    case MTIA_MAILBOX_FIRMWARE_VERSION: return &mailbox->firmware_version;
    case MTIA_MAILBOX_FIRMWARE_ABI: return &mailbox->firmware_abi;
    case MTIA_MAILBOX_BOOT_DOORBELL: return &mailbox->boot_doorbell;
    case MTIA_MAILBOX_BOOT_MEMORY: return &mailbox->boot_memory;
    default: return NULL;
  }
}

static _Atomic uint64_t *mailbox_double_word(struct mailbox *mailbox, uint32_t offset) {
  switch (offset) {
    case MTIA_MAILBOX_FIRMWARE_CAPABILITIES: return &mailbox->firmware_capabilities;
    case MTIA_MAILBOX_BOOT_IMAGE_ADDRESS: return &mailbox->boot_image_address;
    case MTIA_MAILBOX_BOOT_IMAGE_BYTES: return &mailbox->boot_image_bytes;
    case MTIA_MAILBOX_PANIC_CAUSE: return &mailbox->panic_cause;
    case MTIA_MAILBOX_PANIC_PC: return &mailbox->panic_pc;
    case MTIA_MAILBOX_PANIC_VALUE: return &mailbox->panic_value;
    default: return NULL;
  }
}

bool mailbox_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  struct mailbox *mailbox = &chip->control_core.mailbox;
  const _Atomic uint32_t *word = offset == MTIA_MAILBOX_RESET_COUNT ? &mailbox->reset_count : mailbox_word(mailbox, offset);
  if (word != NULL) *value = atomic_load(word);
  return word != NULL;
}

bool mailbox_read64(struct chip *chip, uint32_t offset, uint64_t *value) {
  _Atomic uint64_t *word = mailbox_double_word(&chip->control_core.mailbox, offset);
  if (word != NULL) *value = atomic_load(word);
  return word != NULL;
}

bool mailbox_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  if (offset == MTIA_MAILBOX_RESET_COUNT) return true; /* read only: ignored */
  _Atomic uint32_t *word = mailbox_word(&chip->control_core.mailbox, offset);
  if (word == NULL) return false;
  if (offset == MTIA_MAILBOX_BOOT_DOORBELL) atomic_fetch_and(word, ~value);
  else if (offset != MTIA_MAILBOX_BOOT_MEMORY) atomic_store(word, value);
  return true;
}

bool mailbox_write64(struct chip *chip, uint32_t offset, uint64_t value) {
  _Atomic uint64_t *word = mailbox_double_word(&chip->control_core.mailbox, offset);
  if (word == NULL) return false;
  bool of_the_host = offset == MTIA_MAILBOX_BOOT_IMAGE_ADDRESS || offset == MTIA_MAILBOX_BOOT_IMAGE_BYTES;
  if (!of_the_host) atomic_store(word, value);
  return true;
}

/* --- system control --- */

static void assign_pages(struct chip *chip, uint32_t owner) {
  struct control_core *core = &chip->control_core;
  core->protection_error = memory_assign(chip->memory, core->protection_address, core->protection_pages, owner);
  /* A unit command may have been let through by the old table and still be moving bytes: the next owner must not see that. */
  if (owner == MTIA_OWNER_NONE && atomic_load(&chip->work_queue_engine.busy) != 0) scheduler_quiesce(chip);
}

bool system_control_read32(struct chip *chip, uint32_t offset, uint32_t *value) {
  const struct control_core *core = &chip->control_core;
  switch (offset) {
    case MTIA_SYSTEM_CONTROL_GENERATION: *value = chip->generation; return true;
    case MTIA_SYSTEM_CONTROL_GRID: *value = chip_grid(chip); return true;
    case MTIA_SYSTEM_CONTROL_LOCAL_BYTES: *value = (uint32_t)chip->specification.local_memory_bytes; return true;
    case MTIA_SYSTEM_CONTROL_BROADCAST: *value = (uint32_t)chip->specification.broadcast_dispatch; return true;
    case MTIA_SYSTEM_CONTROL_MEMORY_CONTROL: *value = memory_setup(chip->memory); return true;
    case MTIA_SYSTEM_CONTROL_PROTECTION_PAGES: *value = core->protection_pages; return true;
    case MTIA_SYSTEM_CONTROL_PROTECTION_ERROR: *value = core->protection_error; return true;
    case MTIA_SYSTEM_CONTROL_PROTECTION_OWNER:
    case MTIA_SYSTEM_CONTROL_INSTRUCTION_FENCE: *value = 0; return true;
    default: return false;
  }
}

bool system_control_read64(struct chip *chip, uint32_t offset, uint64_t *value) {
  switch (offset) {
    case MTIA_SYSTEM_CONTROL_SRAM_BYTES: *value = (uint64_t)chip->specification.sram_bytes; return true;
    case MTIA_SYSTEM_CONTROL_LPDDR_BYTES: *value = memory_lpddr_bytes(chip->memory); return true;
    case MTIA_SYSTEM_CONTROL_PE_RESET_VECTOR: *value = chip->work_queue_engine.reset_vector; return true;
    case MTIA_SYSTEM_CONTROL_PE_RESET: *value = 0; return true;
    case MTIA_SYSTEM_CONTROL_PE_RUNNING: *value = atomic_load(&chip->work_queue_engine.out_of_reset); return true;
    case MTIA_SYSTEM_CONTROL_PROTECTION_ADDRESS: *value = chip->control_core.protection_address; return true;
    default: return false;
  }
}

bool system_control_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  switch (offset) {
    case MTIA_SYSTEM_CONTROL_PROTECTION_PAGES: chip->control_core.protection_pages = value; return true;
    case MTIA_SYSTEM_CONTROL_PROTECTION_OWNER: assign_pages(chip, value); return true;
    case MTIA_SYSTEM_CONTROL_MEMORY_CONTROL:
      memory_set_up(chip->memory, value);
      control_core_map_memory(chip);
      return true;
    case MTIA_SYSTEM_CONTROL_INSTRUCTION_FENCE: chip_fence_pes(chip); return true;
    default: return system_control_read32(chip, offset, &value); /* read only: ignored */
  }
}

bool system_control_write64(struct chip *chip, uint32_t offset, uint64_t value) {
  switch (offset) {
    case MTIA_SYSTEM_CONTROL_PE_RESET_VECTOR: chip->work_queue_engine.reset_vector = value; return true;
    case MTIA_SYSTEM_CONTROL_PE_RESET: work_queue_engine_reset_pes(chip, value); return true;
    case MTIA_SYSTEM_CONTROL_PROTECTION_ADDRESS: chip->control_core.protection_address = value; return true;
    default: return system_control_read64(chip, offset, &value);
  }
}
