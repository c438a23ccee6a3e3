/* Base address registers: BAR0 holds registers and queue pages, BAR2 is a window on device memory. */
#include <string.h>
#include "chip.h"

static uint32_t queues(const struct chip *chip) { return (uint32_t)chip->specification.queues; }

/* Pages of queues that the card has; those behind are empty. */
static bool is_queue_page(const struct chip *chip, uint32_t offset) {
  return offset >= MTIA_PCI_QUEUE_PAGE_OFFSET &&
         offset < MTIA_PCI_QUEUE_PAGE_OFFSET + queues(chip) * MTIA_PCI_QUEUE_PAGE_BYTES;
}

/* Registers of BAR0 outside the queue pages as 64-bit words: what a 4-byte access sees is half of one. */
static uint64_t read_word(struct chip *chip, uint32_t offset) {
  struct mailbox *mailbox = &chip->control_core.mailbox;
  switch (offset) {
    case MTIA_BAR0_IDENTITY: return MTIA_IDENTITY | (uint64_t)chip->generation << 32;
    case MTIA_BAR0_RESET_COUNT: return atomic_load(&mailbox->reset_count) | (uint64_t)chip_grid(chip) << 32;
    case MTIA_BAR0_SRAM_BYTES: return (uint64_t)chip->specification.sram_bytes;
    case MTIA_BAR0_LPDDR_BYTES: return memory_lpddr_bytes(chip->memory);
    case MTIA_BAR0_BOOT_STATUS: return atomic_load(&mailbox->boot_status) | (uint64_t)atomic_load(&mailbox->boot_error) << 32;
    case MTIA_BAR0_FIRMWARE_VERSION:
      return atomic_load(&mailbox->firmware_version) | (uint64_t)atomic_load(&mailbox->firmware_abi) << 32;
    case MTIA_BAR0_FIRMWARE_CAPABILITIES: return atomic_load(&mailbox->firmware_capabilities);
    case MTIA_BAR0_BOOT_IMAGE_ADDRESS: return atomic_load(&mailbox->boot_image_address);
    case MTIA_BAR0_BOOT_IMAGE_BYTES: return atomic_load(&mailbox->boot_image_bytes);
    case MTIA_BAR0_BOOT_DOORBELL: return (uint64_t)atomic_load(&mailbox->boot_memory) << 32;
    case MTIA_BAR0_SCRATCHPAD_BYTES: return memory_scratchpad_bytes(chip->memory);
    case MTIA_BAR0_QUEUES: return queues(chip) | (uint64_t)chip->msix.vectors << 32;
    case MTIA_BAR0_BROADCAST: return chip->specification.broadcast_dispatch != 0;
    case MTIA_BAR0_WINDOW_BASE: return atomic_load(&mailbox->window_base);
    case MTIA_BAR0_PANIC_CAUSE: return atomic_load(&mailbox->panic_cause);
    case MTIA_BAR0_PANIC_PC: return atomic_load(&mailbox->panic_pc);
    case MTIA_BAR0_PANIC_VALUE: return atomic_load(&mailbox->panic_value);
    case MTIA_BAR0_DEVICE_TIME: return chip_clock_now(&chip->clock);
    default: break;
  }
  uint32_t in_report = offset - MTIA_BAR0_WATCHDOG_REPORT;
  return in_report < MTIA_WATCHDOG_REPORT_BYTES ? control_watchdog_report(chip, in_report) : 0;
}

static _Atomic uint64_t *writable_word(struct mailbox *mailbox, uint32_t offset) {
  switch (offset) {
    case MTIA_BAR0_BOOT_IMAGE_ADDRESS: return &mailbox->boot_image_address;
    case MTIA_BAR0_BOOT_IMAGE_BYTES: return &mailbox->boot_image_bytes;
    case MTIA_BAR0_WINDOW_BASE: return &mailbox->window_base;
    default: return NULL;
  }
}

static void write_word32(struct chip *chip, uint32_t offset, uint32_t value) {
  struct mailbox *mailbox = &chip->control_core.mailbox;
  _Atomic uint64_t *word = writable_word(mailbox, offset & ~7u);
  if (word != NULL) {
    uint32_t shift = offset % 8 * 8;
    uint64_t mask = 0xffffffffull << shift;
    uint64_t old = atomic_load(word);
    while (!atomic_compare_exchange_weak(word, &old, (old & ~mask) | (uint64_t)value << shift)) continue;
  } else if (offset == MTIA_BAR0_BOOT_MEMORY) {
    atomic_store(&mailbox->boot_memory, value);
  } else if (offset == MTIA_BAR0_BOOT_DOORBELL) {
    atomic_store(&mailbox->boot_doorbell, value);
    control_core_notify(chip);
  }
}

static uint32_t register_read32(struct chip *chip, uint32_t offset) {
  if (is_queue_page(chip, offset)) {
    uint32_t in_pages = offset - MTIA_PCI_QUEUE_PAGE_OFFSET;
    return queue_page_read(chip, in_pages / MTIA_PCI_QUEUE_PAGE_BYTES, in_pages % MTIA_PCI_QUEUE_PAGE_BYTES);
  }
  return (uint32_t)(read_word(chip, offset & ~7u) >> (offset % 8 * 8));
}

static void register_write32(struct chip *chip, uint32_t offset, uint32_t value) {
  if (is_queue_page(chip, offset)) {
    uint32_t in_pages = offset - MTIA_PCI_QUEUE_PAGE_OFFSET;
    queue_page_write(chip, in_pages / MTIA_PCI_QUEUE_PAGE_BYTES, in_pages % MTIA_PCI_QUEUE_PAGE_BYTES, value);
  } else {
    write_word32(chip, offset, value);
  }
}

static uint64_t register_read64(struct chip *chip, uint32_t offset) {
  /* In one step, so that a running clock does not tear. */
  if (offset < MTIA_PCI_QUEUE_PAGE_OFFSET) return read_word(chip, offset);
  return register_read32(chip, offset) | (uint64_t)register_read32(chip, offset + 4) << 32;
}

static void register_write64(struct chip *chip, uint32_t offset, uint64_t value) {
  _Atomic uint64_t *word = offset < MTIA_PCI_QUEUE_PAGE_OFFSET ? writable_word(&chip->control_core.mailbox, offset) : NULL;
  if (word != NULL) {
    atomic_store(word, value);
    return;
  }
  register_write32(chip, offset, (uint32_t)value);
  register_write32(chip, offset + 4, (uint32_t)(value >> 32));
}

void pci_bar_apply_write(struct chip *chip, uint32_t offset, uint32_t width, uint64_t value) {
  if (width == 8) register_write64(chip, offset, value);
  else register_write32(chip, offset, (uint32_t)value);
}

static uint64_t bar_bytes(uint32_t bar) { return bar == 0 ? MTIA_PCI_BAR0_BYTES : bar == 2 ? MTIA_PCI_BAR2_BYTES : 0; }

static bool is_range(uint32_t bar, uint64_t offset, uint64_t bytes) {
  uint64_t size = bar_bytes(bar);
  return offset < size && bytes <= size - offset;
}

/* Registers take aligned accesses of 4 or 8 bytes; the window takes any. */
static bool is_access(uint32_t bar, uint64_t offset, uint32_t width) {
  bool width_exists = width == 4 || width == 8 || (bar == 2 && (width == 1 || width == 2));
  return width_exists && is_range(bar, offset, width) && (bar == 2 || offset % width == 0);
}

/* Device memory behind the window, or NULL: nobody answers there. */
static uint8_t *window(struct chip *chip, uint64_t offset, uint64_t bytes, enum memory_right right) {
  uint64_t base = atomic_load(&chip->control_core.mailbox.window_base);
  uint8_t *memory = base + offset < base ? NULL : memory_at(chip->memory, 0, base + offset, bytes, right);
  uint64_t bad;
  return memory != NULL && memory_is_sound(chip->memory, base + offset, bytes, right, &bad) ? memory : NULL;
}

/* As on a bus, what nobody answers reads as all ones and swallows writes. */
static bool answers(struct chip *chip) { return atomic_load_explicit(&chip->config.memory_enabled, memory_order_relaxed); }

int32_t pci_bar_read(struct chip *chip, uint32_t bar, uint64_t offset, uint32_t width, uint64_t *value) {
  if (!is_access(bar, offset, width) || value == NULL) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  uint64_t ones = width == 8 ? UINT64_MAX : (1ull << (8 * width)) - 1;
  *value = ones;
  if (!answers(chip)) return MTIA_ERROR_OK;
  if (bar == 0) {
    *value = width == 8 ? register_read64(chip, (uint32_t)offset) : register_read32(chip, (uint32_t)offset);
    return MTIA_ERROR_OK;
  }
  const uint8_t *memory = window(chip, offset, width, MEMORY_READ);
  if (memory == NULL) return MTIA_ERROR_OK;
  *value = 0;
  memcpy(value, memory, width);
  return MTIA_ERROR_OK;
}

int32_t pci_bar_write(struct chip *chip, uint32_t bar, uint64_t offset, uint32_t width, uint64_t value) {
  if (!is_access(bar, offset, width)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  if (!answers(chip)) return MTIA_ERROR_OK;
  if (bar == 2) {
    uint8_t *memory = window(chip, offset, width, MEMORY_WRITE);
    if (memory != NULL) memcpy(memory, &value, width);
    return MTIA_ERROR_OK;
  }
  return pci_inbound_write(chip, (uint32_t)offset, width, value);
}

/* Registers as a block: whole 4-byte words, in ascending order. */
static bool is_block(uint32_t bar, uint64_t offset, const void *data, uint64_t bytes) {
  bool words = offset % 4 == 0 && bytes % 4 == 0;
  return is_range(bar, offset, bytes) && (data != NULL || bytes == 0) && (bar == 2 || words);
}

int32_t pci_bar_read_block(struct chip *chip, uint32_t bar, uint64_t offset, void *data, uint64_t bytes) {
  if (!is_block(bar, offset, data, bytes)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  if (bytes == 0) return MTIA_ERROR_OK;
  const uint8_t *memory = bar == 2 && answers(chip) ? window(chip, offset, bytes, MEMORY_READ) : NULL;
  if (memory != NULL) {
    memcpy(data, memory, bytes);
  } else if (bar == 2 || !answers(chip)) {
    memset(data, 0xff, bytes);
  } else {
    for (uint64_t at = 0; at < bytes; at += 4) {
      uint32_t value = register_read32(chip, (uint32_t)(offset + at));
      memcpy((uint8_t *)data + at, &value, sizeof(value));
    }
  }
  return MTIA_ERROR_OK;
}

int32_t pci_bar_write_block(struct chip *chip, uint32_t bar, uint64_t offset, const void *data, uint64_t bytes) {
  if (!is_block(bar, offset, data, bytes)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  if (bytes == 0 || !answers(chip)) return MTIA_ERROR_OK;
  if (bar == 2) {
    uint8_t *memory = window(chip, offset, bytes, MEMORY_WRITE);
    if (memory != NULL) memcpy(memory, data, bytes);
    return MTIA_ERROR_OK;
  }
  for (uint64_t at = 0; at < bytes; at += 4) {
    uint32_t value;
    memcpy(&value, (const uint8_t *)data + at, sizeof(value));
    int32_t status = pci_inbound_write(chip, (uint32_t)(offset + at), sizeof(value), value);
    if (status != MTIA_ERROR_OK) return status;
  }
  return MTIA_ERROR_OK;
}
