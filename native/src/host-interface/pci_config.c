#include "pci_config.h"
#include <string.h>
#include "chip.h"

/* Offsets and bits of the PCI Local Bus 3.0 and PCI Express Base specifications. */
enum {
  VENDOR = 0x00, DEVICE = 0x02, COMMAND = 0x04, STATUS = 0x06, REVISION = 0x08, CLASS = 0x09,
  BAR0 = 0x10, BAR2 = 0x18, SUBSYSTEM_VENDOR = 0x2c, SUBSYSTEM = 0x2e, CAPABILITIES = 0x34, INTERRUPT_LINE = 0x3c,
  EXPRESS = 0x40, EXPRESS_DEVICE = EXPRESS + 4, EXPRESS_DEVICE_CONTROL = EXPRESS + 8, EXPRESS_LINK = EXPRESS + 12,
  EXPRESS_LINK_STATUS = EXPRESS + 18,
  MSIX = 0x80, MSIX_CONTROL = MSIX + 2, MSIX_TABLE = MSIX + 4, MSIX_PENDING = MSIX + 8,
};
#define COMMAND_MEMORY 0x0002u
#define COMMAND_BUS_MASTER 0x0004u
#define COMMAND_WRITABLE 0x0546u /* memory, bus master, parity, SERR, interrupt disable */
#define STATUS_CAPABILITIES 0x0010u
#define BAR_64_BIT 0x4u
#define BAR_PREFETCHABLE 0x8u
#define CAPABILITY_EXPRESS 0x10u
#define CAPABILITY_MSIX 0x11u
#define EXPRESS_ENDPOINT_VERSION_2 0x0002u
#define EXPRESS_FUNCTION_RESET_CAPABLE (1u << 28)
#define EXPRESS_INITIATE_RESET 0x8000u
#define LINK_X8 (8u << 4)
#define LINK_GEN4 4u
#define LINK_GEN5 5u
#define MSIX_FUNCTION_MASK 0x4000u
#define MSIX_ENABLE 0x8000u
/*
 * Where a bus would find the vector table in BAR0. As with vfio, whoever asks for a vector's eventfd leaves programming the
 * table to the platform: this part of BAR0 reads as zero.
 */
#define MSIX_TABLE_OFFSET 0x30000u
#define MSIX_PENDING_OFFSET 0x38000u

static void put(uint8_t *bytes, uint32_t offset, uint32_t width, uint32_t value) {
  for (uint32_t at = 0; at < width; at++) bytes[offset + at] = (uint8_t)(value >> (8 * at));
}

static uint32_t get(const uint8_t *bytes, uint32_t offset, uint32_t width) {
  uint32_t value = 0;
  for (uint32_t at = 0; at < width; at++) value |= (uint32_t)bytes[offset + at] << (8 * at);
  return value;
}

/* A 64-bit memory base address register; the address bits below its size read as zero, which tells the size. */
static void declare_bar(struct pci_config *config, uint32_t offset, uint64_t bytes, uint32_t flags) {
  uint64_t writable = ~(bytes - 1);
  put(config->bytes, offset, 4, flags);
  put(config->writable, offset, 4, (uint32_t)writable);
  put(config->writable, offset + 4, 4, (uint32_t)(writable >> 32));
}

static void declare_express(struct pci_config *config, uint32_t generation) {
  uint32_t link = LINK_X8 | (generation == 1 ? LINK_GEN4 : LINK_GEN5);
  put(config->bytes, EXPRESS, 4, CAPABILITY_EXPRESS | MSIX << 8 | EXPRESS_ENDPOINT_VERSION_2 << 16);
  put(config->bytes, EXPRESS_DEVICE, 4, EXPRESS_FUNCTION_RESET_CAPABLE);
  put(config->writable, EXPRESS_DEVICE_CONTROL, 2, 0x7fff);
  put(config->bytes, EXPRESS_LINK, 4, link);
  put(config->bytes, EXPRESS_LINK_STATUS, 2, link);
}

void pci_config_create(struct pci_config *config, uint32_t generation, uint32_t vectors) {
  pthread_mutex_init(&config->lock, NULL);
  uint32_t device = generation == 1 ? MTIA_PCI_DEVICE_ID_V1 : MTIA_PCI_DEVICE_ID_2I;
  put(config->bytes, VENDOR, 2, MTIA_PCI_VENDOR_ID);
  put(config->bytes, DEVICE, 2, device);
  put(config->writable, COMMAND, 2, COMMAND_WRITABLE);
  put(config->bytes, STATUS, 2, STATUS_CAPABILITIES);
  put(config->bytes, CLASS, 3, MTIA_PCI_CLASS_CODE);
  declare_bar(config, BAR0, MTIA_PCI_BAR0_BYTES, BAR_64_BIT);
  declare_bar(config, BAR2, MTIA_PCI_BAR2_BYTES, BAR_64_BIT | BAR_PREFETCHABLE);
  put(config->bytes, SUBSYSTEM_VENDOR, 2, MTIA_PCI_VENDOR_ID);
  put(config->bytes, SUBSYSTEM, 2, device);
  put(config->bytes, CAPABILITIES, 1, EXPRESS);
  put(config->writable, INTERRUPT_LINE, 1, 0xff);
  declare_express(config, generation);
  put(config->bytes, MSIX, 2, CAPABILITY_MSIX);
  put(config->bytes, MSIX_CONTROL, 2, vectors - 1);
  put(config->writable, MSIX_CONTROL, 2, MSIX_FUNCTION_MASK | MSIX_ENABLE);
  put(config->bytes, MSIX_TABLE, 4, MSIX_TABLE_OFFSET);
  put(config->bytes, MSIX_PENDING, 4, MSIX_PENDING_OFFSET);
}

void pci_config_destroy(struct pci_config *config) { pthread_mutex_destroy(&config->lock); }

static bool is_access(uint32_t offset, uint32_t width) {
  bool width_exists = width == 1 || width == 2 || width == 4;
  return width_exists && offset < PCI_CONFIG_BYTES && offset % width == 0;
}

int32_t pci_config_read(struct chip *chip, uint32_t offset, uint32_t width, uint32_t *value) {
  if (!is_access(offset, width) || value == NULL) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  pthread_mutex_lock(&chip->config.lock);
  *value = get(chip->config.bytes, offset, width);
  pthread_mutex_unlock(&chip->config.lock);
  return MTIA_ERROR_OK;
}

int32_t pci_config_write(struct chip *chip, uint32_t offset, uint32_t width, uint32_t value, bool *reset) {
  struct pci_config *config = &chip->config;
  if (!is_access(offset, width)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  pthread_mutex_lock(&config->lock);
  for (uint32_t at = 0; at < width; at++) {
    uint8_t mask = config->writable[offset + at];
    uint8_t byte = (uint8_t)(value >> (8 * at));
    config->bytes[offset + at] = (uint8_t)((config->bytes[offset + at] & ~mask) | (byte & mask));
  }
  uint32_t command = get(config->bytes, COMMAND, 2);
  atomic_store(&config->memory_enabled, (command & COMMAND_MEMORY) != 0);
  atomic_store(&chip->iommu.bus_master, (command & COMMAND_BUS_MASTER) != 0);
  atomic_store(&chip->msix.masked, get(config->bytes, MSIX_CONTROL, 2) & MSIX_FUNCTION_MASK);
  pthread_mutex_unlock(&config->lock);
  uint32_t high = EXPRESS_DEVICE_CONTROL + 1;
  *reset = offset <= high && high < offset + width && (value >> (8 * (high - offset)) & (EXPRESS_INITIATE_RESET >> 8)) != 0;
  msix_deliver(&chip->msix); /* what was raised while masked */
  return MTIA_ERROR_OK;
}
