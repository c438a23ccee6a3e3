/* PCI configuration space: type 0 header, PCI Express and MSI-X capabilities. */
#ifndef MTIA_PCI_CONFIG_H
#define MTIA_PCI_CONFIG_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct chip;

#define PCI_CONFIG_BYTES 256

struct pci_config {
  pthread_mutex_t lock;
  uint8_t bytes[PCI_CONFIG_BYTES];
  uint8_t writable[PCI_CONFIG_BYTES]; /* bits that a write changes */
  _Atomic bool memory_enabled;        /* command register: the base address registers answer */
};

void pci_config_create(struct pci_config *config, uint32_t generation, uint32_t vectors);
void pci_config_destroy(struct pci_config *config);
/* Status codes of the C ABI. */
int32_t pci_config_read(struct chip *chip, uint32_t offset, uint32_t width, uint32_t *value);
/* Sets *reset where the write asks for a function level reset. */
int32_t pci_config_write(struct chip *chip, uint32_t offset, uint32_t width, uint32_t value, bool *reset);

/* pci_bar.c. Status codes of the C ABI. */
int32_t pci_bar_read(struct chip *chip, uint32_t bar, uint64_t offset, uint32_t width, uint64_t *value);
int32_t pci_bar_write(struct chip *chip, uint32_t bar, uint64_t offset, uint32_t width, uint64_t value);
int32_t pci_bar_read_block(struct chip *chip, uint32_t bar, uint64_t offset, void *data, uint64_t bytes);
int32_t pci_bar_write_block(struct chip *chip, uint32_t bar, uint64_t offset, const void *data, uint64_t bytes);

#endif
