/* Random calls of the C ABI on one chip: configuration space, BARs, IOMMU, queue set-up, resets, the debug door. */
#include "fuzz_chip.h"
#include "fuzz_input.h"

enum { HOST_PAGES = 8, PAGE_BYTES = 4096, BLOCK_BYTES = 256 };
#define IOVA 0x100000000ull

struct host { uint8_t *pages; };

/* A register near one that exists, or anything. */
static uint64_t bar0_offset(struct fuzz_input *input) {
  const uint8_t kind = fuzz_byte(input), at = fuzz_byte(input);
  if (kind < 80) return at * 4u;
  if (kind < 200) return MTIA_PCI_QUEUE_PAGE_OFFSET + kind % 32u * MTIA_PCI_QUEUE_PAGE_BYTES + at % 32u * 4u;
  return kind < 240 ? kind * 4096u + at * 4u : fuzz_word(input);
}

static uint64_t value_of(struct fuzz_input *input) {
  const uint8_t kind = fuzz_byte(input);
  if (kind < 100) return kind;
  if (kind < 180) return IOVA + (uint64_t)(kind % HOST_PAGES) * PAGE_BYTES;
  return kind < 200 ? MTIA_LPDDR_BASE + fuzz_byte(input) * 65536ull : fuzz_word(input);
}

static uint32_t width_of(struct fuzz_input *input) {
  const uint8_t kind = fuzz_byte(input);
  return kind < 240 ? 1u << kind % 4 : kind;
}

static void bar_call(struct mtia_device *device, uint8_t call, struct fuzz_input *input) {
  uint8_t block[BLOCK_BYTES];
  uint64_t value = 0;
  const uint64_t offset = bar0_offset(input), bytes = fuzz_byte(input);
  if (call & 1) mtia_pci_bar_read(device, call >> 1 & 3, offset, width_of(input), &value);
  else mtia_pci_bar_write(device, 0, offset, width_of(input), value_of(input));
  if (!(call & 8)) return;
  fuzz_take(input, block, sizeof block);
  if (call & 1) mtia_pci_bar_read_block(device, 2, value_of(input), block, bytes);
  else mtia_pci_bar_write_block(device, call & 2, value_of(input), block, bytes);
}

static void iommu_call(struct mtia_device *device, uint8_t call, struct fuzz_input *input, const struct host *host) {
  const uint32_t first = fuzz_byte(input) % HOST_PAGES, pages = fuzz_byte(input) % (HOST_PAGES - first + 1);
  const uint64_t iova = call & 2 ? fuzz_word(input) : IOVA + first * PAGE_BYTES;
  const uint32_t context = fuzz_byte(input);
  if (call & 1) mtia_pci_dma_map(device, context, iova, host->pages + first * PAGE_BYTES, pages * PAGE_BYTES, call >> 2 & 7);
  else mtia_pci_dma_unmap(device, context, iova, call & 4 ? fuzz_word(input) : pages * PAGE_BYTES);
}

static void debug_call(struct mtia_device *device, uint8_t call, struct fuzz_input *input) {
  uint8_t data[BLOCK_BYTES] = {0};
  char text[32];
  uint64_t value = 0;
  const uint32_t core = fuzz_byte(input), selected = core < 128 ? core : CONTROL, hart = fuzz_byte(input) % 5u;
  const uint32_t bytes = fuzz_byte(input);
  switch (call & 7) {
    case 0: mtia_debug_halt(device); break;
    case 1: mtia_debug_resume(device); break;
    case 2: mtia_debug_register_read(device, selected, hart, (uint32_t)value_of(input), &value); break;
    case 3: mtia_debug_register_write(device, selected, hart, (uint32_t)value_of(input), fuzz_word(input)); break;
    case 4: mtia_debug_memory_read(device, selected, value_of(input), data, bytes); break;
    case 5: fuzz_take(input, data, sizeof data), mtia_debug_memory_write(device, selected, value_of(input), data, bytes); break;
    case 6: mtia_debug_wait_reason(device, selected, hart, text, bytes % (sizeof text + 1)); break;
    case 7: mtia_debug_console_read(device, (char *)data, bytes, &(uint32_t){0}); break;
  }
}

static void one_call(struct mtia_device *device, struct fuzz_input *input, const struct host *host) {
  const uint8_t kind = fuzz_byte(input), call = fuzz_byte(input);
  uint32_t value = 0;
  int32_t fd = -1;
  switch (kind % 8) {
    case 0: mtia_pci_config_read(device, fuzz_byte(input) * 2u, width_of(input), &value); break;
    case 1: mtia_pci_config_write(device, fuzz_byte(input) * 2u, width_of(input), (uint32_t)value_of(input)); break;
    case 2: iommu_call(device, call, input, host); break;
    case 3: debug_call(device, call, input); break;
    case 4: call < 8 ? mtia_pci_function_reset(device) : mtia_pci_interrupt_fd(device, call, &fd); break;
    default: bar_call(device, call, input); break;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct fuzz_input input = {data, bytes};
  struct mtia_device *const device = fuzz_chip(1 + (fuzz_byte(&input) & 1));
  const struct host host = {host_pages(HOST_PAGES * PAGE_BYTES)};
  while (input.bytes > 0) one_call(device, &input, &host);
  /* No access to the pages is under way after it. */
  CHECK_OK(mtia_pci_function_reset(device));
  CHECK_OK(mtia_host_free(host.pages, HOST_PAGES * PAGE_BYTES));
  return 0;
}
