/*
 * Handles. A struct mtia_device is a small tombstone that is never freed, so a handle may be used after close, and from any
 * thread while another one closes: `users` counts the calls inside the chip, and the bit CLOSED keeps new ones out. Close
 * sets the bit, waits until the calls that are inside have left (each is bounded), and only then frees the chip.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include "arithmetic_path.h"
#include "chip.h"
#include "device.h"

#define MAGIC 0x4d544941u
#define CLOSED (1u << 31)
#define MOST_PE_THREADS 1024u
#define MOST_NICENESS 19u
#define LPDDR_GRANULE_BYTES (1ull << 20)

struct mtia_device {
  uint32_t magic;
  _Atomic uint32_t users;
  _Atomic uint32_t freed;
  struct event_count changed; /* the last user left, or the chip is freed */
  struct chip *chip;
};

uint32_t mtia_c_abi_version(void) { return MTIA_C_ABI_VERSION; }

static bool are_parameters(const struct mtia_open_parameters *parameters) {
  static const struct mtia_specification specifications[] = MTIA_SPECIFICATIONS;
  if (parameters->struct_bytes != sizeof(*parameters)) return false;
  if (parameters->generation < 1 || parameters->generation > sizeof(specifications) / sizeof(specifications[0])) return false;
  const struct mtia_specification *specification = &specifications[parameters->generation - 1];
  uint64_t most = (uint64_t)specification->lpddr_maximum_bytes;
  if (parameters->queues > specification->queues || parameters->interrupt_vectors > specification->interrupt_vectors) return false;
  if (parameters->without_broadcast > 1 || parameters->pe_niceness > MOST_NICENESS) return false;
  return parameters->lpddr_bytes <= most && parameters->lpddr_bytes % LPDDR_GRANULE_BYTES == 0 &&
         parameters->pe_threads <= MOST_PE_THREADS && parameters->matmul_path <= MTIA_MATMUL_NEON;
}

uint32_t mtia_matmul_paths(void) { return arithmetic_paths_here(); }

int32_t mtia_open(const struct mtia_open_parameters *parameters, struct mtia_device **result) {
  if (parameters == NULL || result == NULL || !are_parameters(parameters)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  struct mtia_device *device = calloc(1, sizeof(*device));
  if (device == NULL) return MTIA_ERROR_CHIP_NO_MEMORY;
  int32_t status = chip_create(parameters, &device->chip);
  if (status != MTIA_ERROR_OK) {
    free(device);
    return status;
  }
  device->magic = MAGIC;
  *result = device;
  return MTIA_ERROR_OK;
}

static void leave(struct mtia_device *device) {
  if (atomic_fetch_sub(&device->users, 1) == (CLOSED | 1)) event_count_notify(&device->changed, UINT16_MAX);
}

int32_t device_enter(struct mtia_device *device, struct chip **chip) {
  if (device == NULL || device->magic != MAGIC) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  if ((atomic_fetch_add(&device->users, 1) & CLOSED) != 0) {
    leave(device);
    return MTIA_ERROR_CHIP_CLOSED;
  }
  *chip = device->chip;
  return MTIA_ERROR_OK;
}

int32_t device_leave(struct mtia_device *device, int32_t status) {
  leave(device);
  return status;
}

static void await(struct mtia_device *device, bool (*reached)(struct mtia_device *device)) {
  for (;;) {
    uint32_t ticket = event_count_prepare(&device->changed);
    if (reached(device)) return;
    event_count_wait(&device->changed, ticket, EVENT_COUNT_FOREVER);
  }
}

static bool nobody_inside(struct mtia_device *device) { return atomic_load(&device->users) == CLOSED; }
static bool is_freed(struct mtia_device *device) { return atomic_load(&device->freed) != 0; }

int32_t mtia_close(struct mtia_device *device) {
  if (device == NULL || device->magic != MAGIC) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  if ((atomic_fetch_or(&device->users, CLOSED) & CLOSED) != 0) {
    /* Somebody else closes it: done is when that is done. */
    await(device, is_freed);
    return MTIA_ERROR_OK;
  }
  await(device, nobody_inside);
  chip_destroy(device->chip);
  device->chip = NULL;
  atomic_store(&device->freed, 1);
  event_count_notify(&device->changed, UINT16_MAX);
  return MTIA_ERROR_OK;
}

int32_t mtia_pci_config_read(struct mtia_device *device, uint32_t offset, uint32_t width, uint32_t *value) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, pci_config_read(chip, offset, width, value));
}

int32_t mtia_pci_config_write(struct mtia_device *device, uint32_t offset, uint32_t width, uint32_t value) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  bool reset = false;
  status = pci_config_write(chip, offset, width, value, &reset);
  if (status == MTIA_ERROR_OK && reset) chip_function_reset(chip);
  return device_leave(device, status);
}

int32_t mtia_pci_bar_read(struct mtia_device *device, uint32_t bar, uint64_t offset, uint32_t width, uint64_t *value) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, pci_bar_read(chip, bar, offset, width, value));
}

int32_t mtia_pci_bar_write(struct mtia_device *device, uint32_t bar, uint64_t offset, uint32_t width, uint64_t value) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, pci_bar_write(chip, bar, offset, width, value));
}

int32_t mtia_pci_bar_read_block(struct mtia_device *device, uint32_t bar, uint64_t offset, void *data, uint64_t bytes) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, pci_bar_read_block(chip, bar, offset, data, bytes));
}

int32_t mtia_pci_bar_write_block(struct mtia_device *device, uint32_t bar, uint64_t offset, const void *data, uint64_t bytes) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, pci_bar_write_block(chip, bar, offset, data, bytes));
}

int32_t mtia_pci_dma_map(struct mtia_device *device, uint32_t context, uint64_t iova, void *host, uint64_t bytes,
                         uint32_t rights) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, iommu_map(&chip->iommu, context, iova, host, bytes, rights));
}

int32_t mtia_pci_dma_unmap(struct mtia_device *device, uint32_t context, uint64_t iova, uint64_t bytes) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  return status != MTIA_ERROR_OK ? status : device_leave(device, iommu_unmap(&chip->iommu, context, iova, bytes));
}

int32_t mtia_pci_interrupt_fd(struct mtia_device *device, uint32_t vector, int32_t *fd) {
  struct chip *chip;
  if (fd == NULL) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  return device_leave(device, msix_fd(&chip->msix, vector, fd));
}

int32_t mtia_pci_function_reset(struct mtia_device *device) {
  struct chip *chip;
  int32_t status = device_enter(device, &chip);
  if (status != MTIA_ERROR_OK) return status;
  chip_function_reset(chip);
  return device_leave(device, MTIA_ERROR_OK);
}

static bool are_pages(uint64_t bytes) { return bytes != 0 && bytes % 4096 == 0 && bytes <= SIZE_MAX / 2; }

int32_t mtia_host_allocate(uint64_t bytes, void **host) {
  if (host == NULL || !are_pages(bytes)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return MTIA_ERROR_CHIP_NO_MEMORY;
  *host = pages;
  return MTIA_ERROR_OK;
}

int32_t mtia_host_free(void *host, uint64_t bytes) {
  if (host == NULL || (uintptr_t)host % 4096 != 0 || !are_pages(bytes)) return MTIA_ERROR_CHIP_BAD_ARGUMENT;
  return munmap(host, bytes) == 0 ? MTIA_ERROR_OK : MTIA_ERROR_CHIP_SYSTEM;
}
