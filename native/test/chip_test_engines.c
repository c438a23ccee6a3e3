/* DMA, IOMMU, memory protection, work queue engine and peripherals, driven by scripts that the control hart executes. */
#include <stdatomic.h>
#include <sys/mman.h>
#include "chip_test.h"
#include "chip_test_programs.h"

#define DMA(register, channel) (MTIA_DMA_ENGINE_BASE + MTIA_DMA_ENGINE_##register + 0x80 * (channel))
#define WQE(register) (MTIA_WORK_QUEUE_ENGINE_BASE + MTIA_WORK_QUEUE_ENGINE_##register)
#define SYSTEM(register) (MTIA_SYSTEM_CONTROL_BASE + MTIA_SYSTEM_CONTROL_##register)
#define MAILBOX(register) (MTIA_MAILBOX_BASE + MTIA_MAILBOX_##register)

#define IOVA 0x100000000ull
#define HOST_BYTES (1ull << 20)
#define PAGE MTIA_PROTECTION_PAGE_BYTES
#define LPDDR(offset) (MTIA_LPDDR_BASE + (128ull << 20) + (offset))

static void fill_pattern(uint8_t *data, uint64_t bytes, uint32_t seed) {
  for (uint64_t index = 0; index < bytes; index++) data[index] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
}

struct outcome {
  uint64_t status, error, address;
};

static struct outcome transfer(struct mtia_device *device, uint32_t channel, uint32_t kind, uint32_t context, uint64_t source, uint64_t destination, uint64_t bytes) {
  struct step steps[] = {
      WRITE64(DMA(SOURCE, channel), source),
      WRITE64(DMA(DESTINATION, channel), destination),
      WRITE64(DMA(BYTES, channel), bytes),
      WRITE32(DMA(CONTEXT, channel), context),
      WRITE32(DMA(START, channel), kind),
      AWAIT32(DMA(STATUS, channel), 2, 2), /* DONE or FAULT */
      READ32(DMA(STATUS, channel)),
      READ32(DMA(ERROR, channel)),
      READ64(DMA(FAULT_ADDRESS, channel)),
      WRITE32(DMA(STATUS, channel), 0),
      AWAIT32(DMA(STATUS, channel), MTIA_DMA_STATUS_IDLE, 3),
  };
  RUN(device, steps);
  return (struct outcome){steps[6].value, steps[7].value, steps[8].value};
}

#define EXPECT(result, expected_error, expected_address) \
  do { \
    struct outcome outcome_ = (result); \
    CHECK_EQUAL(outcome_.error, expected_error); \
    CHECK_EQUAL(outcome_.status, (expected_error) == MTIA_ERROR_OK ? MTIA_DMA_STATUS_DONE : MTIA_DMA_STATUS_FAULT); \
    if ((expected_error) != MTIA_ERROR_OK) CHECK_EQUAL(outcome_.address, expected_address); \
  } while (0)

static void copies(void) {
  struct mtia_device *device = open_device(2);
  uint8_t *host = host_pages(HOST_BYTES), *back = host_pages(HOST_BYTES);
  uint8_t *seen = malloc(HOST_BYTES);
  CHECK_OK(mtia_pci_dma_map(device, 0, IOVA, host, HOST_BYTES, 3));
  CHECK_OK(mtia_pci_dma_map(device, 0, 2 * IOVA, back, HOST_BYTES, 3));
  /* Below and above what is copied on the spot; odd everything. */
  const uint64_t sizes[] = {1, 3, 64, 4097, 16384, 16385, 100003, 700001};
  for (uint32_t index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++) {
    uint64_t bytes = sizes[index], skew = index * 5 % 13;
    fill_pattern(host, HOST_BYTES, index);
    memset(back, 0, HOST_BYTES);
    EXPECT(transfer(device, index % 4, MTIA_DMA_HOST_TO_DEVICE, 0, IOVA + skew, LPDDR(7), bytes), 0, 0);
    EXPECT(transfer(device, (index + 1) % 4, MTIA_DMA_DEVICE_TO_DEVICE, 0, LPDDR(7), MTIA_SRAM_BASE + 0x900001, bytes), 0, 0);
    EXPECT(transfer(device, (index + 2) % 4, MTIA_DMA_DEVICE_TO_HOST, 0, MTIA_SRAM_BASE + 0x900001, 2 * IOVA + 11, bytes), 0, 0);
    CHECK(memcmp(host + skew, back + 11, bytes) == 0);
    CHECK_EQUAL(back[10], 0);
    CHECK_EQUAL(back[11 + bytes], 0);
    /* Overlapping ranges move as a whole, in either direction. */
    EXPECT(transfer(device, 0, MTIA_DMA_DEVICE_TO_DEVICE, 0, LPDDR(7), LPDDR(7 + 5), bytes), 0, 0);
    peek(device, LPDDR(7 + 5), seen, bytes);
    CHECK(memcmp(host + skew, seen, bytes) == 0);
    EXPECT(transfer(device, 0, MTIA_DMA_DEVICE_TO_DEVICE, 0, LPDDR(7 + 5), LPDDR(7), bytes), 0, 0);
    peek(device, LPDDR(7), seen, bytes);
    CHECK(memcmp(host + skew, seen, bytes) == 0);
    EXPECT(transfer(device, 3, MTIA_DMA_FILL32, 0, 0x44332211, LPDDR(3), bytes), 0, 0);
    peek(device, LPDDR(3), seen, bytes + 1);
    for (uint64_t at = 0; at < bytes; at++) CHECK_EQUAL(seen[at], 0x11 * (1 + at % 4));
  }
  EXPECT(transfer(device, 0, MTIA_DMA_HOST_TO_DEVICE, 0, 0, 0, 0), 0, 0);
  EXPECT(transfer(device, 0, 9, 0, IOVA, LPDDR(0), 8), MTIA_ERROR_INVALID_COMMAND, 0);
  EXPECT(transfer(device, 0, MTIA_DMA_FILL32, 32, 0, LPDDR(0), 8), MTIA_ERROR_INVALID_COMMAND, 0);
  CHECK_OK(mtia_close(device));
  free(seen);
  CHECK_OK(mtia_host_free(host, HOST_BYTES));
  CHECK_OK(mtia_host_free(back, HOST_BYTES));
}

static void iommu_rules(void) {
  struct mtia_device *device = open_device(2);
  uint8_t *host = host_pages(HOST_BYTES);
  struct outcome outcome;
  fill_pattern(host, HOST_BYTES, 1);
  CHECK_EQUAL(mtia_pci_dma_map(device, 32, IOVA, host, 4096, 3), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_map(device, 1, IOVA + 1, host, 4096, 3), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_map(device, 1, IOVA, host, 100, 3), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_map(device, 1, IOVA, host, 0, 3), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_map(device, 1, IOVA, host, 4096, 0), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_map(device, 1, IOVA, host, 4096, 4), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_map(device, 1, UINT64_MAX - 4095, host, 8192, 3), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  /* Three neighbours with different rights, then a hole. */
  CHECK_OK(mtia_pci_dma_map(device, 1, IOVA + 4096, host + 8192, 4096, 3));
  CHECK_OK(mtia_pci_dma_map(device, 1, IOVA, host, 4096, 1));
  CHECK_OK(mtia_pci_dma_map(device, 1, IOVA + 8192, host + 32768, 8192, 2));
  CHECK_EQUAL(mtia_pci_dma_map(device, 1, IOVA + 4096, host, 4096, 3), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_map(device, 1, IOVA, host, HOST_BYTES, 3), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  struct step protect[] = {WRITE64(SYSTEM(PROTECTION_ADDRESS), LPDDR(0)), WRITE32(SYSTEM(PROTECTION_PAGES), 2), WRITE32(SYSTEM(PROTECTION_OWNER), 1)};
  RUN(device, protect);

  /* Across two mappings that lie apart in the host. */
  uint8_t seen[8192];
  EXPECT(transfer(device, 0, MTIA_DMA_HOST_TO_DEVICE, 1, IOVA + 100, LPDDR(0), 8000), 0, 0);
  peek(device, LPDDR(0), seen, 8000);
  CHECK(memcmp(seen, host + 100, 3996) == 0 && memcmp(seen + 3996, host + 8192, 8000 - 3996) == 0);
  EXPECT(transfer(device, 0, MTIA_DMA_HOST_TO_DEVICE, 1, IOVA + 4096, LPDDR(0), 4097), MTIA_ERROR_HOST_ADDRESS_FAULT, IOVA + 8192);
  EXPECT(transfer(device, 0, MTIA_DMA_DEVICE_TO_HOST, 1, LPDDR(0), IOVA, 8), MTIA_ERROR_HOST_ADDRESS_FAULT, IOVA);
  EXPECT(transfer(device, 0, MTIA_DMA_DEVICE_TO_HOST, 1, LPDDR(0), IOVA + 12288, 4100), MTIA_ERROR_HOST_ADDRESS_FAULT, IOVA + 16384);
  EXPECT(transfer(device, 0, MTIA_DMA_HOST_TO_DEVICE, 2, IOVA, LPDDR(0), 8), MTIA_ERROR_HOST_ADDRESS_FAULT, IOVA);
  outcome = transfer(device, 0, MTIA_DMA_HOST_TO_DEVICE, 1, UINT64_MAX - 10, LPDDR(0), 64);
  EXPECT(outcome, MTIA_ERROR_HOST_ADDRESS_FAULT, UINT64_MAX - 10);

  /* A range that cuts a mapping, or holds none, is refused; one that holds several takes them all. */
  CHECK_EQUAL(mtia_pci_dma_unmap(device, 1, IOVA + 8192, 4096), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_unmap(device, 1, IOVA + 65536, 4096), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_unmap(device, 2, IOVA, 4096), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_OK(mtia_pci_dma_unmap(device, 1, IOVA, 8192));
  EXPECT(transfer(device, 0, MTIA_DMA_HOST_TO_DEVICE, 1, IOVA, LPDDR(0), 8), MTIA_ERROR_HOST_ADDRESS_FAULT, IOVA);
  EXPECT(transfer(device, 0, MTIA_DMA_DEVICE_TO_HOST, 1, LPDDR(0), IOVA + 8192, 8), 0, 0);

  /* Without bus mastering the host is out of reach. */
  CHECK_OK(mtia_pci_config_write(device, 4, 2, 2));
  EXPECT(transfer(device, 0, MTIA_DMA_DEVICE_TO_HOST, 1, LPDDR(0), IOVA + 8192, 8), MTIA_ERROR_HOST_ADDRESS_FAULT, IOVA + 8192);
  CHECK_OK(mtia_close(device));
  CHECK_OK(mtia_host_free(host, HOST_BYTES));
}

static void protection(void) {
  struct mtia_device *device = open_device(2);
  struct step assign[] = {
      WRITE64(SYSTEM(PROTECTION_ADDRESS), LPDDR(0)), WRITE32(SYSTEM(PROTECTION_PAGES), 2), WRITE32(SYSTEM(PROTECTION_OWNER), 5), READ32(SYSTEM(PROTECTION_ERROR)),
      WRITE64(SYSTEM(PROTECTION_ADDRESS), LPDDR(2 * PAGE)), WRITE32(SYSTEM(PROTECTION_PAGES), 1), WRITE32(SYSTEM(PROTECTION_OWNER), MTIA_OWNER_SHARED_READ_ONLY), READ32(SYSTEM(PROTECTION_ERROR)),
      WRITE64(SYSTEM(PROTECTION_ADDRESS), LPDDR(1)), WRITE32(SYSTEM(PROTECTION_OWNER), 5), READ32(SYSTEM(PROTECTION_ERROR)),
      WRITE64(SYSTEM(PROTECTION_ADDRESS), LPDDR(0)), WRITE32(SYSTEM(PROTECTION_OWNER), 32), READ32(SYSTEM(PROTECTION_ERROR)),
      WRITE32(SYSTEM(PROTECTION_PAGES), 0xffffffff), WRITE32(SYSTEM(PROTECTION_OWNER), 5), READ32(SYSTEM(PROTECTION_ERROR)),
  };
  RUN(device, assign);
  CHECK_EQUAL(assign[3].value, MTIA_ERROR_OK);
  CHECK_EQUAL(assign[7].value, MTIA_ERROR_OK);
  CHECK(assign[10].value != MTIA_ERROR_OK);
  CHECK(assign[13].value != MTIA_ERROR_OK);
  CHECK(assign[16].value != MTIA_ERROR_OK);
  const uint32_t fill = MTIA_DMA_FILL32, copy = MTIA_DMA_DEVICE_TO_DEVICE;
  EXPECT(transfer(device, 0, fill, 5, 1, LPDDR(0), 2 * PAGE), 0, 0);
  EXPECT(transfer(device, 0, fill, 5, 1, LPDDR(0), 2 * PAGE + 1), MTIA_ERROR_MEMORY_PROTECTION, LPDDR(2 * PAGE));
  EXPECT(transfer(device, 0, fill, 5, 1, LPDDR(0) - 1, 8), MTIA_ERROR_MEMORY_PROTECTION, LPDDR(0) - 1);
  EXPECT(transfer(device, 0, fill, 6, 1, LPDDR(8), 8), MTIA_ERROR_MEMORY_PROTECTION, LPDDR(8));
  EXPECT(transfer(device, 0, copy, 5, LPDDR(0), LPDDR(PAGE), 2 * PAGE), MTIA_ERROR_MEMORY_PROTECTION, LPDDR(2 * PAGE));
  EXPECT(transfer(device, 0, copy, 5, LPDDR(2 * PAGE), LPDDR(0), PAGE), 0, 0);
  EXPECT(transfer(device, 0, copy, 5, LPDDR(3 * PAGE), LPDDR(0), 8), MTIA_ERROR_MEMORY_PROTECTION, LPDDR(3 * PAGE));
  EXPECT(transfer(device, 0, fill, 0, 1, LPDDR(3 * PAGE), 8), 0, 0);
  EXPECT(transfer(device, 0, fill, 0, 1, MTIA_LPDDR_BASE + TEST_LPDDR_BYTES - 4, 8), MTIA_ERROR_MEMORY_PROTECTION, MTIA_LPDDR_BASE + TEST_LPDDR_BYTES);
  EXPECT(transfer(device, 0, fill, 0, 1, 0, 8), MTIA_ERROR_MEMORY_PROTECTION, 0);
  /* A reset takes every page back. */
  CHECK_OK(mtia_pci_function_reset(device));
  EXPECT(transfer(device, 0, fill, 5, 1, LPDDR(0), 8), MTIA_ERROR_MEMORY_PROTECTION, LPDDR(0));
  CHECK_OK(mtia_close(device));
}

/* Unmapping while copies are under way: afterwards the pages are really gone, and nothing may touch them. */
static void unmap_in_flight(void) {
  const uint64_t bytes = 64ull << 20;
  struct mtia_device *device = open_device(2);
  for (int round = 0; round < 10; round++) {
    uint8_t *host = host_pages(bytes);
    CHECK_OK(mtia_pci_dma_map(device, 0, IOVA, host, bytes, 3));
    struct step steps[] = {
        WRITE64(DMA(SOURCE, 0), IOVA), WRITE64(DMA(DESTINATION, 0), LPDDR(0)), WRITE64(DMA(BYTES, 0), bytes), WRITE32(DMA(START, 0), MTIA_DMA_HOST_TO_DEVICE),
        WRITE64(DMA(SOURCE, 1), LPDDR(0)), WRITE64(DMA(DESTINATION, 1), IOVA), WRITE64(DMA(BYTES, 1), bytes), WRITE32(DMA(START, 1), MTIA_DMA_DEVICE_TO_HOST),
        AWAIT32(DMA(STATUS, 0), 2, 2), AWAIT32(DMA(STATUS, 1), 2, 2), READ32(DMA(ERROR, 0)), READ32(DMA(ERROR, 1)), WRITE32(DMA(STATUS, 0), 0), WRITE32(DMA(STATUS, 1), 0),
    };
    uint32_t run = START(device, steps);
    usleep((unsigned)round * 500);
    CHECK_OK(mtia_pci_dma_unmap(device, 0, IOVA, bytes));
    CHECK_OK(mtia_host_free(host, bytes));
    AWAIT(script_ended(device, run));
    peek(device, SCRIPT_ADDRESS, steps, sizeof(steps));
    for (int index = 10; index < 12; index++) CHECK(steps[index].value == MTIA_ERROR_OK || steps[index].value == MTIA_ERROR_HOST_ADDRESS_FAULT);
  }
  /* A busy channel is stopped by writing its status. */
  uint8_t *host = host_pages(bytes);
  CHECK_OK(mtia_pci_dma_map(device, 0, IOVA, host, bytes, 3));
  struct step stop[] = {
      WRITE64(DMA(SOURCE, 2), IOVA), WRITE64(DMA(DESTINATION, 2), LPDDR(0)), WRITE64(DMA(BYTES, 2), bytes), WRITE32(DMA(START, 2), MTIA_DMA_HOST_TO_DEVICE),
      WRITE32(DMA(STATUS, 2), 0), AWAIT32(DMA(STATUS, 2), 2, 2), READ32(DMA(ERROR, 2)), WRITE32(DMA(STATUS, 2), 0),
  };
  RUN(device, stop);
  CHECK_EQUAL(stop[6].value, MTIA_ERROR_ABORTED);
  CHECK_OK(mtia_close(device));
  CHECK_OK(mtia_host_free(host, bytes));
}

#define DESCRIPTOR (MTIA_CONTEXT_SRAM_BASE + 0x40000)
#define RECTANGLE(column, row, columns, rows) ((column) | (row) << 8 | (columns) << 16 | (rows) << 24)

/* Loads the monitor and takes the PEs of the mask out of reset. */
static void start_monitor(struct mtia_device *device, uint64_t mask) {
  poke(device, MTIA_SRAM_BASE, monitor_program, sizeof(monitor_program));
  struct step steps[] = {WRITE64(SYSTEM(PE_RESET_VECTOR), MTIA_SRAM_BASE), WRITE64(SYSTEM(PE_RESET), mask), READ64(SYSTEM(PE_RUNNING))};
  RUN(device, steps);
  CHECK_EQUAL(steps[2].value & mask, mask);
}

static void write_descriptor(struct mtia_device *device, uint64_t behaviour) {
  struct mtia_job_descriptor descriptor = {.argument_words = 1, .columns = 1, .rows = 1, .arguments = {behaviour}};
  poke(device, DESCRIPTOR, &descriptor, sizeof(descriptor));
}

/* Starts a job in a slot; gives ERROR. */
static uint32_t start_job(struct mtia_device *device, uint32_t slot, uint32_t rectangle, uint32_t pes, uint64_t behaviour) {
  write_descriptor(device, behaviour);
  struct step steps[] = {WRITE64(WQE(DESCRIPTOR), DESCRIPTOR), WRITE32(WQE(RECTANGLE), rectangle), WRITE32(WQE(SLOT), slot), WRITE32(WQE(ARM), pes), WRITE32(WQE(START), 1), READ32(WQE(ERROR))};
  RUN(device, steps);
  return (uint32_t)steps[5].value;
}

/* What a PE would reckon with (neighbours, barriers, atomics) reaches out of the grid. */
static void a_descriptor_stays_in_the_grid(struct mtia_device *device) {
  static const uint8_t rectangles[][4] = {{0, 0, 0, 1}, {0, 0, 1, 0}, {7, 0, 2, 1}, {0, 7, 1, 2}, {8, 0, 1, 1}, {0, 0, 255, 255}, {255, 255, 255, 255}};
  for (uint32_t i = 0; i < sizeof rectangles / sizeof rectangles[0]; i++) {
    const uint8_t *r = rectangles[i];
    const struct mtia_job_descriptor descriptor = {.column = r[0], .row = r[1], .columns = r[2], .rows = r[3]};
    poke(device, DESCRIPTOR, &descriptor, sizeof(descriptor));
    struct step steps[] = {WRITE64(WQE(DESCRIPTOR), DESCRIPTOR), WRITE32(WQE(RECTANGLE), RECTANGLE(0, 0, 1, 1)), WRITE32(WQE(ARM), 1), WRITE32(WQE(START), 1), READ32(WQE(ERROR)), READ64(WQE(BUSY))};
    RUN(device, steps);
    CHECK_EQUAL(steps[4].value, MTIA_ERROR_INVALID_GRID);
    CHECK_EQUAL(steps[5].value, 0);
  }
}

static uint64_t launch_cycles(struct mtia_device *device, uint32_t pes, uint32_t flags) {
  struct step steps[] = {WRITE32(WQE(SLOT), 9), WRITE32(WQE(ARM), pes | flags), READ64(WQE(CYCLES)), WRITE32(WQE(ARM), 0)};
  RUN(device, steps);
  return steps[2].value;
}

/* What a job costs before its first instruction: with the PEs that it goes to one by one (v1), or for all alike (2i). */
static void a_launch_costs_what_handing_it_over_takes(void) {
  for (uint32_t generation = 1; generation <= 2; generation++) {
    struct mtia_device *device = open_device(generation);
    const uint64_t one = launch_cycles(device, 1, 0), two = launch_cycles(device, 2, 0), all = launch_cycles(device, 64, 0);
    const uint64_t next = launch_cycles(device, 64, MTIA_JOB_ARM_FOLLOWS);
    CHECK_EQUAL(one, generation == 1 ? 720 : 1215);
    CHECK_EQUAL(two, generation == 1 ? 765 : 1215);
    CHECK_EQUAL(all, generation == 1 ? 3600 : 1215); /* five times: broadcast saves 80 % (I25) */
    CHECK_EQUAL(next, all / 2);
    CHECK_OK(mtia_close(device));
  }
}

static void jobs(void) {
  a_launch_costs_what_handing_it_over_takes();
  struct mtia_device *device = open_device(2);
  CHECK(start_job(device, 0, RECTANGLE(0, 0, 1, 1), 1, 0) != MTIA_ERROR_OK); /* in reset */
  start_monitor(device, UINT64_MAX);
  a_descriptor_stays_in_the_grid(device);
  CHECK_EQUAL(start_job(device, 0, RECTANGLE(0, 0, 0, 1), 1, 0), MTIA_ERROR_INVALID_GRID);
  CHECK_EQUAL(start_job(device, 0, RECTANGLE(7, 0, 2, 1), 1, 0), MTIA_ERROR_INVALID_GRID);
  CHECK_EQUAL(start_job(device, 64, RECTANGLE(0, 0, 1, 1), 1, 0), MTIA_ERROR_INVALID_COMMAND);

  /* The whole grid, then a failing part of it: the lowest PE speaks. */
  CHECK_EQUAL(start_job(device, 3, RECTANGLE(0, 0, 8, 8), 64, 0), MTIA_ERROR_OK);
  struct step all[] = {AWAIT64(WQE(DONE), 8, 8), READ64(WQE(BUSY)), READ32(WQE(REMAINING)), READ32(WQE(RESULT)), READ64(WQE(CYCLES)), READ32(MTIA_INTERRUPT_CONTROLLER_BASE), WRITE64(WQE(DONE), 8), READ64(WQE(DONE)), READ32(MTIA_INTERRUPT_CONTROLLER_BASE)};
  RUN(device, all);
  CHECK_EQUAL(all[1].value, 0);
  CHECK_EQUAL(all[2].value, 0);
  CHECK_EQUAL(all[3].value, MTIA_ERROR_OK);
  const struct mtia_specification *const chip = &(const struct mtia_specification[])MTIA_SPECIFICATIONS[1];
  const uint64_t launch = (uint64_t)(chip->job_launch_ns * chip->clock_mhz / 1000);
  CHECK(all[4].value > launch && all[4].value < launch + 1000); /* and a few instructions */
  CHECK_EQUAL(all[5].value >> MTIA_INTERRUPT_JOB_DONE & 1, 1);
  CHECK_EQUAL(all[7].value, 0);
  CHECK_EQUAL(all[8].value >> MTIA_INTERRUPT_JOB_DONE & 1, 0);
  CHECK_EQUAL(start_job(device, 4, RECTANGLE(2, 1, 3, 2), 6, MTIA_ERROR_KERNEL_ERROR), MTIA_ERROR_OK);
  struct step failing[] = {AWAIT64(WQE(DONE), 16, 16), READ32(WQE(RESULT)), READ32(WQE(FAULT_PLACE)), READ64(WQE(FAULT_CAUSE))};
  RUN(device, failing);
  CHECK_EQUAL(failing[1].value, MTIA_ERROR_KERNEL_ERROR);
  CHECK_EQUAL(failing[2].value, 8 + 2);
  CHECK_EQUAL(failing[3].value, 0x77);
  struct step after_failure[] = {WRITE32(WQE(STOP), 1), READ32(WQE(STOP)), READ64(WQE(DONE))};
  RUN(device, after_failure);
  CHECK_EQUAL(after_failure[2].value & 16, 0);

  /* PEs that loop, or wait for ever, are seen and can be reset; their job never reports, others do. */
  CHECK_EQUAL(start_job(device, 5, RECTANGLE(0, 0, 2, 1), 2, 1), MTIA_ERROR_OK);
  CHECK_EQUAL(start_job(device, 6, RECTANGLE(4, 4, 2, 1), 2, 2), MTIA_ERROR_OK);
  CHECK_EQUAL(start_job(device, 7, RECTANGLE(1, 0, 1, 1), 1, 0), MTIA_ERROR_OK);              /* behind the other one */
  CHECK_EQUAL(start_job(device, 9, RECTANGLE(1, 0, 1, 1), 1, 0), MTIA_ERROR_INVALID_COMMAND); /* full */
  const uint64_t looping = 3, blocked = 3ull << (4 * 8 + 4);
  struct step stuck[] = {AWAIT64(WQE(BLOCKED), blocked, UINT64_MAX), READ64(WQE(BUSY)), WRITE64(SYSTEM(PE_RESET), looping | blocked), READ64(WQE(BUSY)), READ64(WQE(BLOCKED))};
  RUN(device, stuck);
  CHECK_EQUAL(stuck[1].value, looping | blocked);
  CHECK_EQUAL(stuck[3].value, 0);
  CHECK_EQUAL(stuck[4].value, 0);
  for (int round = 0; round < 50; round++) {
    CHECK_EQUAL(start_job(device, 8, RECTANGLE(0, 0, 8, 8), 64, round % 2), MTIA_ERROR_OK);
    struct step end[] = {AWAIT64(WQE(DONE), 256, 256), WRITE64(WQE(DONE), 256)};
    struct step reset[] = {WRITE64(SYSTEM(PE_RESET), UINT64_MAX), READ64(WQE(DONE))};
    if (round % 2 == 0) RUN(device, end);
    else RUN(device, reset);
    if (round % 2 != 0) CHECK_EQUAL(reset[1].value & 256, 0);
  }
  struct mtia_counters counters = {.struct_bytes = sizeof(counters)};
  CHECK_OK(mtia_debug_counters(device, &counters));
  CHECK_EQUAL(counters.jobs, 64 + 6 + 2 + 2 + 1 + 50 * 64);
  CHECK(counters.pe_instructions > 0 && counters.control_instructions > 0);

  /* The window waits for a reset, so a write behind one stays. */
  struct step window[] = {WRITE64(SYSTEM(PE_RESET), UINT64_MAX), WRITE64(MTIA_PE_WINDOW_BASE + 63 * 0x100000ull + 0x8000, 42), READ64(MTIA_PE_WINDOW_BASE + 63 * 0x100000ull + 0x8000)};
  RUN(device, window);
  CHECK_EQUAL(window[2].value, 42);
  usleep(1000);
  uint64_t value = 0;
  peek(device, MTIA_PE_WINDOW_BASE + 63 * 0x100000ull + 0x8000, &value, 8);
  CHECK_EQUAL(value, 42);
  CHECK_OK(mtia_close(device));

  /* v1 has no broadcast. */
  device = open_device(1);
  start_monitor(device, UINT64_MAX);
  CHECK_EQUAL(start_job(device, 0, RECTANGLE(0, 0, 2, 1), 2, 0), MTIA_ERROR_INVALID_GRID);
  CHECK_EQUAL(start_job(device, 0, RECTANGLE(1, 0, 1, 1), 1, 0), MTIA_ERROR_OK);
  struct step one[] = {AWAIT64(WQE(DONE), 1, 1)};
  RUN(device, one);
  CHECK_OK(mtia_close(device));
}

/*
 * A PE takes the next job when its own part of the one before is done. STOP ends one job only: what the PEs have besides it
 * they keep, before it or behind it.
 */
static void job_replacement(void) {
  struct mtia_device *device = open_device(2);
  start_monitor(device, UINT64_MAX);
  const uint64_t west = 1, both = 3;
  /* Slot 0: PE 0 loops. Slot 1 on PEs 0 and 1: PE 1 is done while PE 0 has not begun. */
  CHECK_EQUAL(start_job(device, 0, RECTANGLE(0, 0, 1, 1), 1, 1), MTIA_ERROR_OK);
  CHECK_EQUAL(start_job(device, 1, RECTANGLE(0, 0, 2, 1), 2, 0), MTIA_ERROR_OK);
  CHECK_EQUAL(start_job(device, 2, RECTANGLE(1, 0, 1, 1), 1, 0), MTIA_ERROR_OK);
  struct step waits[] = {AWAIT64(WQE(DONE), 4, UINT64_MAX), WRITE32(WQE(SLOT), 1), READ32(WQE(REMAINING)), READ64(WQE(WORKING)), READ64(WQE(RUNNING)),
                         READ64(WQE(START_TIME)), READ64(WQE(FULL)), READ64(WQE(BUSY)), READ64(MTIA_TIMER_BASE)};
  RUN(device, waits);
  CHECK_EQUAL(waits[2].value, 1);
  CHECK_EQUAL(waits[3].value, west);
  CHECK_EQUAL(waits[4].value, 0);
  CHECK_EQUAL(waits[5].value, 0);
  CHECK_EQUAL(waits[6].value, west);
  CHECK_EQUAL(waits[7].value, west);
  /* The first job is stopped: its PE is reset and goes on with the next one. */
  struct step stop_first[] = {WRITE32(WQE(SLOT), 0), WRITE32(WQE(STOP), 1), READ32(WQE(STOP)), AWAIT64(WQE(DONE), 6, UINT64_MAX), WRITE32(WQE(SLOT), 1),
                              READ64(WQE(START_TIME)), READ32(WQE(RESULT)), READ64(WQE(CYCLES)), READ64(WQE(BUSY)), WRITE64(WQE(DONE), 6)};
  RUN(device, stop_first);
  CHECK(stop_first[5].value > waits[8].value);
  CHECK_EQUAL(stop_first[6].value, MTIA_ERROR_OK);
  const struct mtia_specification *const chip = &(const struct mtia_specification[])MTIA_SPECIFICATIONS[1];
  const uint64_t launch = (uint64_t)(chip->job_launch_ns * chip->clock_mhz / 1000);
  CHECK(stop_first[7].value > launch && stop_first[7].value < launch + 300); /* whatever its PEs were at */
  CHECK_EQUAL(stop_first[8].value, 0);

  /* The second job is stopped: the first one stays, and a third takes the place. */
  CHECK_EQUAL(start_job(device, 0, RECTANGLE(0, 0, 1, 1), 1, 1), MTIA_ERROR_OK);
  CHECK_EQUAL(start_job(device, 1, RECTANGLE(0, 0, 2, 1), 2, 2), MTIA_ERROR_OK);
  struct step stop_second[] = {AWAIT64(WQE(BLOCKED), 2, UINT64_MAX), READ64(WQE(WORKING)), READ64(WQE(RUNNING)), WRITE32(WQE(STOP), 1), READ32(WQE(STOP)),
                               READ64(WQE(BUSY)), READ64(WQE(FULL)), READ64(WQE(BLOCKED)), READ64(WQE(WORKING))};
  RUN(device, stop_second);
  CHECK_EQUAL(stop_second[1].value, both);
  CHECK_EQUAL(stop_second[2].value, both & ~west);
  CHECK_EQUAL(stop_second[5].value, west);
  CHECK_EQUAL(stop_second[6].value, 0);
  CHECK_EQUAL(stop_second[7].value, 0);
  CHECK_EQUAL(stop_second[8].value, 0);
  CHECK_EQUAL(start_job(device, 2, RECTANGLE(0, 0, 2, 1), 2, 0), MTIA_ERROR_OK);
  struct step third[] = {WRITE32(WQE(SLOT), 0), READ64(WQE(RUNNING)), WRITE32(WQE(STOP), 1), READ32(WQE(STOP)), AWAIT64(WQE(DONE), 4, UINT64_MAX),
                         WRITE64(WQE(DONE), 4)};
  RUN(device, third);
  CHECK_EQUAL(third[1].value, west);

  /* A PE that has failed takes no job before its reset; the one that has not goes on. */
  CHECK_EQUAL(start_job(device, 0, RECTANGLE(0, 0, 1, 1), 1, MTIA_ERROR_KERNEL_ERROR), MTIA_ERROR_OK);
  CHECK_EQUAL(start_job(device, 1, RECTANGLE(0, 0, 2, 1), 2, 0), MTIA_ERROR_OK);
  struct step failed[] = {AWAIT64(WQE(DONE), 1, UINT64_MAX), AWAIT32(WQE(REMAINING), 1, UINT32_MAX), READ64(WQE(WORKING)), READ64(WQE(RUNNING)),
                          WRITE32(WQE(SLOT), 0), WRITE32(WQE(STOP), 1), READ32(WQE(STOP)), AWAIT64(WQE(DONE), 2, UINT64_MAX), WRITE64(WQE(DONE), 2)};
  RUN(device, failed);
  CHECK_EQUAL(failed[2].value, west);
  CHECK_EQUAL(failed[3].value, 0);

  /* At any moment: the first job ends, or is stopped, while the second is handed over. */
  for (int round = 0; round < 200; round++) {
    const uint64_t behaviour = round % 2; /* ends, or loops */
    CHECK_EQUAL(start_job(device, 0, RECTANGLE(0, 0, 8, 8), 64, behaviour), MTIA_ERROR_OK);
    CHECK_EQUAL(start_job(device, 1, RECTANGLE(4, 0, 4, 8), 32, 0), MTIA_ERROR_OK);
    struct step end[] = {WRITE32(WQE(SLOT), 0), WRITE32(WQE(STOP), 1), READ32(WQE(STOP)), AWAIT64(WQE(DONE), 2, 2), WRITE64(WQE(DONE), UINT64_MAX),
                         AWAIT64(WQE(BUSY), 0, UINT64_MAX)};
    RUN(device, end);
  }
  CHECK_OK(mtia_close(device));
}

static void busy_chip(struct mtia_device *device, uint8_t *host, uint64_t bytes) {
  CHECK_OK(mtia_pci_dma_map(device, 0, IOVA, host, bytes, 3));
  start_monitor(device, UINT64_MAX);
  CHECK_EQUAL(start_job(device, 0, RECTANGLE(0, 0, 8, 4), 32, 1), MTIA_ERROR_OK);
  CHECK_EQUAL(start_job(device, 1, RECTANGLE(0, 4, 8, 4), 32, 2), MTIA_ERROR_OK);
  struct step steps[] = {
      WRITE64(DMA(SOURCE, 0), IOVA), WRITE64(DMA(DESTINATION, 0), LPDDR(0)), WRITE64(DMA(BYTES, 0), bytes), WRITE32(DMA(START, 0), MTIA_DMA_HOST_TO_DEVICE),
      AWAIT32(MAILBOX(BOOT_ERROR), 1, 1), /* for ever */
  };
  START(device, steps);
}

/* Reset and close from the busiest state there is: PEs that loop and that wait, a copy under way, a control hart that spins. */
static void reset_and_close_while_busy(void) {
  const uint64_t bytes = 64ull << 20;
  uint8_t *host = host_pages(bytes);
  for (int round = 0; round < 6; round++) {
    struct mtia_device *device = open_device(2);
    for (uint32_t resets = 1; resets <= 3; resets++) {
      busy_chip(device, host, bytes);
      usleep((unsigned)round * 300);
      uint64_t start = now_ms();
      if (round % 2 == 1) CHECK_OK(mtia_debug_halt(device));
      CHECK_OK(mtia_pci_function_reset(device));
      CHECK_OK(mtia_debug_resume(device));
      CHECK(now_ms() - start < 2000);
      CHECK_EQUAL(bar0(device, MTIA_BAR0_RESET_COUNT, 4), resets);
      AWAIT(bar0(device, MTIA_BAR0_BOOT_STATUS, 4) == MTIA_BOOT_ROM_READY);
      CHECK_EQUAL(mtia_pci_dma_unmap(device, 0, IOVA, bytes), MTIA_ERROR_CHIP_BAD_ARGUMENT);
    }
    busy_chip(device, host, bytes);
    if (round % 2 == 1) CHECK_OK(mtia_debug_halt(device));
    uint64_t start = now_ms();
    CHECK_OK(mtia_close(device));
    CHECK(now_ms() - start < 2000);
  }
  CHECK_OK(mtia_host_free(host, bytes));
}

static void peripherals(void) {
  struct mtia_device *device = open_device(2);
  char text[64] = {0};
  uint32_t copied = 0;
  CHECK_OK(mtia_debug_console_read(device, text, sizeof(text), &copied));
  struct step steps[] = {
      WRITE32(MTIA_UART_BASE, 'h'), WRITE32(MTIA_UART_BASE, 'i'), WRITE32(MTIA_UART_BASE, '\n'), READ32(MTIA_UART_BASE + MTIA_UART_STATUS),
      READ64(MTIA_TIMER_BASE), WRITE64(MTIA_TIMER_BASE + MTIA_TIMER_MTIMECMP + 24, 1234), READ64(MTIA_TIMER_BASE + MTIA_TIMER_MTIMECMP + 24),
      WRITE32(MTIA_TIMER_BASE + MTIA_TIMER_MSIP + 4, 3), READ32(MTIA_TIMER_BASE + MTIA_TIMER_MSIP + 4),
      READ32(SYSTEM(GENERATION)), READ32(SYSTEM(GRID)), READ64(SYSTEM(SRAM_BYTES)), READ64(SYSTEM(LPDDR_BYTES)), READ32(SYSTEM(LOCAL_BYTES)), READ32(SYSTEM(BROADCAST)),
      AWAIT32(MAILBOX(BOOT_DOORBELL), 5, 0xff), READ32(MTIA_INTERRUPT_CONTROLLER_BASE), WRITE32(MAILBOX(BOOT_DOORBELL), 4), READ32(MAILBOX(BOOT_DOORBELL)),
      WRITE64(MAILBOX(BOOT_IMAGE_BYTES), 99), READ64(MAILBOX(BOOT_IMAGE_BYTES)), WRITE64(MAILBOX(PANIC_PC), 7),
  };
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_IMAGE_BYTES, 8, 4444));
  uint32_t run = START(device, steps);
  usleep(2000);
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_DOORBELL, 4, 5));
  AWAIT(script_ended(device, run));
  peek(device, SCRIPT_ADDRESS, steps, sizeof(steps));
  CHECK_OK(mtia_debug_console_read(device, text, sizeof(text), &copied));
  CHECK(copied == 3 && memcmp(text, "hi\n", 3) == 0);
  CHECK_EQUAL(steps[3].value, 1);
  CHECK(steps[4].value > 0 && steps[4].value <= bar0(device, MTIA_BAR0_DEVICE_TIME, 8));
  CHECK_EQUAL(steps[6].value, 1234);
  CHECK_EQUAL(steps[8].value, 1);
  CHECK_EQUAL(steps[9].value, 2);
  CHECK_EQUAL(steps[10].value, 0x0808);
  CHECK_EQUAL(steps[11].value, 256ull << 20);
  CHECK_EQUAL(steps[12].value, TEST_LPDDR_BYTES);
  CHECK_EQUAL(steps[13].value, 384 * 1024);
  CHECK_EQUAL(steps[14].value, 1);
  CHECK_EQUAL(steps[16].value & 1, 1);
  CHECK_EQUAL(steps[18].value, 1);
  CHECK_EQUAL(steps[20].value, 4444);
  CHECK_EQUAL(bar0(device, MTIA_BAR0_PANIC_PC, 8), 7);
  CHECK_OK(mtia_close(device));

  /* Register accesses of a wrong width, or where no register is, are access faults: the boot ROM reports the trap. */
  const struct step faults[] = {READ64(SYSTEM(GENERATION)), READ32(SYSTEM(PE_RESET)), WRITE32(MTIA_UART_BASE + 8, 0), WRITE64(MTIA_BOOT_ROM_BASE, 0), READ32(0x30000000), READ64(MTIA_PE_WINDOW_BASE + 512 * 1024), WRITE32(MTIA_SYSTEM_CONTROL_BASE + 0x2000, 0)};
  for (size_t index = 0; index < sizeof(faults) / sizeof(faults[0]); index++) {
    device = open_device(2);
    start_script(device, &faults[index], 1);
    AWAIT(bar0(device, MTIA_BAR0_BOOT_STATUS, 4) == MTIA_BOOT_FAILED);
    CHECK_EQUAL(bar0(device, MTIA_BAR0_PANIC_CAUSE, 8), faults[index].operation <= STEP_WRITE64 ? 7 : 5);
    CHECK_EQUAL(bar0(device, MTIA_BAR0_PANIC_VALUE, 8), faults[index].address);
    CHECK_OK(mtia_close(device));
  }
}

int main(int argc, char **argv) {
  const struct test_case cases[] = {
      {"copies", copies}, {"iommu-rules", iommu_rules}, {"protection", protection}, {"unmap-in-flight", unmap_in_flight},
      {"jobs", jobs}, {"job-replacement", job_replacement}, {"reset-and-close-while-busy", reset_and_close_while_busy}, {"peripherals", peripherals},
  };
  return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
