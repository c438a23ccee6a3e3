/* The C ABI as a host sees it: arguments, configuration space, base address registers, life of a handle, debug door. */
#include <dirent.h>
#include <sys/resource.h>
#include "chip_test.h"

static uint32_t config(struct mtia_device *device, uint32_t offset, uint32_t width) {
  uint32_t value = 0;
  CHECK_OK(mtia_pci_config_read(device, offset, width, &value));
  return value;
}

static void arguments(void) {
  struct mtia_device *device = NULL;
  struct mtia_open_parameters good = {.struct_bytes = sizeof(good), .generation = 2, .lpddr_bytes = TEST_LPDDR_BYTES};
  struct mtia_open_parameters bad[] = {good, good, good, good, good, good, good, good, good, good, good};
  bad[0].struct_bytes = 8;
  bad[1].generation = 0;
  bad[2].generation = 3;
  bad[3].lpddr_bytes = 4096;
  bad[4].lpddr_bytes = 1ull << 40;
  bad[5].pe_threads = 1u << 30;
  bad[6].matmul_path = MTIA_MATMUL_NEON + 1;
  bad[7].queues = MTIA_LIMIT_QUEUES + 1;
  bad[8].interrupt_vectors = MTIA_LIMIT_MSIX_VECTORS + 1;
  bad[9].without_broadcast = 2;
  bad[10].pe_niceness = 20;
  for (size_t index = 0; index < sizeof(bad) / sizeof(bad[0]); index++) CHECK_EQUAL(mtia_open(&bad[index], &device), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_open(NULL, &device), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_open(&good, NULL), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_close(NULL), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_c_abi_version(), MTIA_C_ABI_VERSION);

  device = open_device(2);
  uint64_t value = 0;
  uint32_t word = 0;
  int32_t fd = 0;
  char text[64];
  struct mtia_counters counters = {.struct_bytes = 8};
  CHECK_EQUAL(mtia_pci_config_read(device, 0, 2, NULL), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_bar_read(device, 0, 0, 4, NULL), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_bar_read_block(device, 2, 0, NULL, 4), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_interrupt_fd(device, 32, &fd), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_interrupt_fd(device, 0, NULL), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_pci_dma_map(device, 0, 0, NULL, 4096, 3), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_console_read(device, NULL, 1, &word), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_wait_reason(device, 64, 0, text, sizeof(text)), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_wait_reason(device, 0, 2, text, sizeof(text)), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_counters(device, &counters), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  struct mtia_pe_counters pe_counters = {.struct_bytes = 8};
  CHECK_EQUAL(mtia_debug_pe_counters(device, 0, &pe_counters), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  pe_counters.struct_bytes = sizeof(pe_counters);
  CHECK_EQUAL(mtia_debug_pe_counters(device, 64, &pe_counters), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_OK(mtia_debug_pe_counters(device, 63, &pe_counters));
  CHECK_EQUAL(mtia_debug_register_read(device, CONTROL, 0, 0, &value), MTIA_ERROR_CHIP_NOT_HALTED);
  CHECK_EQUAL(mtia_debug_memory_read(device, CONTROL, MTIA_SRAM_BASE, &value, 8), MTIA_ERROR_CHIP_NOT_HALTED);
  CHECK_EQUAL(mtia_debug_run(device, CONTROL, 0, 1, &word, NULL), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_run(device, CONTROL, 0, 0, &word, &word), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_run(device, CONTROL, 0, MTIA_DEBUG_MOST_INSTRUCTIONS + 1, &word, &word), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_run(device, 0, 2, 1, &word, &word), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_run(device, 0, 0, 1, &word, &word), MTIA_ERROR_CHIP_NOT_HALTED);
  CHECK_OK(mtia_debug_matmul_path(device, text, sizeof(text)));
  CHECK(strlen(text) > 0);
  CHECK_EQUAL(mtia_debug_matmul_peak(device, MTIA_TYPE_FP32, 1, &value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_matmul_peak(device, MTIA_TYPE_INT8, 0, &value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_OK(mtia_debug_matmul_peak(device, MTIA_TYPE_INT8, 1, &value));
  CHECK(strcmp(text, "portable") == 0 || value > 1000000000);
  CHECK_EQUAL(mtia_host_allocate(100, (void **)&value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_host_allocate(UINT64_MAX & ~4095ull, (void **)&value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_OK(mtia_close(device));
}

static void config_space(void) {
  for (uint32_t generation = 1; generation <= 2; generation++) {
    struct mtia_device *device = open_device(generation);
    CHECK_EQUAL(config(device, 0, 2), MTIA_PCI_VENDOR_ID);
    CHECK_EQUAL(config(device, 2, 2), generation == 1 ? MTIA_PCI_DEVICE_ID_V1 : MTIA_PCI_DEVICE_ID_2I);
    CHECK_EQUAL(config(device, 8, 4) >> 8, MTIA_PCI_CLASS_CODE);
    CHECK_EQUAL(config(device, 0x0e, 1), 0);
    /* Size probing of a 64-bit register. */
    CHECK_OK(mtia_pci_config_write(device, 0x10, 4, 0xffffffff));
    CHECK_EQUAL(config(device, 0x10, 4), (0xffffffffu - (MTIA_PCI_BAR0_BYTES - 1)) | 4u);
    CHECK_OK(mtia_pci_config_write(device, 0x18, 4, 0xffffffff));
    CHECK_OK(mtia_pci_config_write(device, 0x1c, 4, 0xffffffff));
    CHECK_EQUAL(config(device, 0x18, 4), (0xffffffffu - (MTIA_PCI_BAR2_BYTES - 1)) | 12u);
    CHECK_EQUAL(config(device, 0x1c, 4), 0xffffffffu);
    CHECK_OK(mtia_pci_config_write(device, 0x20, 4, 0xffffffff));
    CHECK_EQUAL(config(device, 0x20, 4), 0);
    /* Capabilities: PCI Express endpoint with function level reset, 32 MSI-X vectors. */
    uint32_t found = 0;
    for (uint32_t at = config(device, 0x34, 1); at != 0; at = config(device, at + 1, 1)) {
      uint32_t capability = config(device, at, 1);
      if (capability == 0x10) CHECK((config(device, at + 4, 4) >> 28 & 1) == 1);
      if (capability == 0x11) CHECK_EQUAL(config(device, at + 2, 2) & 0x7ff, MTIA_LIMIT_MSIX_VECTORS - 1);
      found += capability;
    }
    CHECK_EQUAL(found, 0x10 + 0x11);
    CHECK_OK(mtia_pci_config_write(device, 0, 4, 0));
    CHECK_EQUAL(config(device, 0, 2), MTIA_PCI_VENDOR_ID);
    uint32_t value = 0;
    CHECK_EQUAL(mtia_pci_config_read(device, 256, 1, &value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
    CHECK_EQUAL(mtia_pci_config_read(device, 1, 2, &value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
    CHECK_EQUAL(mtia_pci_config_read(device, 0, 8, &value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
    /* Without memory space nobody answers. */
    CHECK_OK(mtia_pci_config_write(device, 4, 2, 0));
    CHECK_EQUAL(bar0(device, MTIA_BAR0_IDENTITY, 4), 0xffffffffu);
    CHECK_OK(mtia_pci_config_write(device, 4, 2, 6));
    CHECK_EQUAL(bar0(device, MTIA_BAR0_IDENTITY, 4), MTIA_IDENTITY);
    /* The reset bit of the PCI Express capability resets. */
    CHECK_OK(mtia_pci_config_write(device, 0x48, 2, 0x8000));
    CHECK_EQUAL(bar0(device, MTIA_BAR0_RESET_COUNT, 4), 1);
    CHECK_EQUAL(config(device, 0x48, 2) & 0x8000, 0);
    CHECK_OK(mtia_close(device));
  }
}

static void bar_rules(void) {
  struct mtia_device *device = open_device(2);
  uint64_t value = 0;
  const struct { uint32_t bar; uint64_t offset; uint32_t width; } bad[] = {
      {0, 2, 4}, {0, 4, 8}, {0, 0, 2}, {0, 0, 1}, {0, 0, 16}, {0, MTIA_PCI_BAR0_BYTES, 4}, {0, UINT64_MAX - 3, 4},
      {1, 0, 4}, {3, 0, 4}, {2, MTIA_PCI_BAR2_BYTES - 3, 4}, {2, 0, 3}, {7, 0, 4},
  };
  for (size_t index = 0; index < sizeof(bad) / sizeof(bad[0]); index++) {
    CHECK_EQUAL(mtia_pci_bar_read(device, bad[index].bar, bad[index].offset, bad[index].width, &value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
    CHECK_EQUAL(mtia_pci_bar_write(device, bad[index].bar, bad[index].offset, bad[index].width, 0), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  }
  CHECK_EQUAL(bar0(device, MTIA_BAR0_IDENTITY, 8), MTIA_IDENTITY | 2ull << 32);
  CHECK_EQUAL(bar0(device, MTIA_BAR0_GRID, 4), 0x0808);
  CHECK_EQUAL(bar0(device, MTIA_BAR0_LPDDR_BYTES, 8), TEST_LPDDR_BYTES);
  /* Read only registers keep their value; unknown ones read as zero. */
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_IDENTITY, 4, 0));
  CHECK_EQUAL(bar0(device, MTIA_BAR0_IDENTITY, 4), MTIA_IDENTITY);
  CHECK_EQUAL(bar0(device, 0x800, 4), 0);
  /* A 64-bit register in halves. */
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_IMAGE_BYTES, 8, 0x1122334455667788));
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_IMAGE_BYTES + 4, 4, 0xaabbccdd));
  CHECK_EQUAL(bar0(device, MTIA_BAR0_BOOT_IMAGE_BYTES, 8), 0xaabbccdd55667788);
  CHECK_EQUAL(bar0(device, MTIA_BAR0_BOOT_IMAGE_BYTES, 4), 0x55667788);
  uint64_t first = bar0(device, MTIA_BAR0_DEVICE_TIME, 8);
  CHECK(bar0(device, MTIA_BAR0_DEVICE_TIME, 8) > first);

  /* The window: any alignment, any size, either memory; all ones where there is none. */
  uint8_t data[100], back[100];
  for (int index = 0; index < 100; index++) data[index] = (uint8_t)(index * 7 + 1);
  const uint64_t bases[] = {MTIA_SRAM_BASE + 12345, MTIA_LPDDR_BASE + 1};
  for (int index = 0; index < 2; index++) {
    CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_WINDOW_BASE, 8, bases[index]));
    CHECK_OK(mtia_pci_bar_write_block(device, 2, 3, data, sizeof(data)));
    CHECK_OK(mtia_pci_bar_read_block(device, 2, 3, back, sizeof(back)));
    CHECK(memcmp(data, back, sizeof(data)) == 0);
    CHECK_OK(mtia_pci_bar_read(device, 2, 5, 2, &value));
    CHECK_EQUAL(value, data[2] | data[3] << 8);
    peek(device, bases[index] + 3, back, sizeof(back));
    CHECK(memcmp(data, back, sizeof(data)) == 0);
  }
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_WINDOW_BASE, 8, MTIA_LPDDR_BASE + TEST_LPDDR_BYTES - 8));
  CHECK_OK(mtia_pci_bar_write_block(device, 2, 0, data, 16));
  CHECK_OK(mtia_pci_bar_read_block(device, 2, 0, back, 16));
  CHECK_EQUAL(back[0], 0xff);
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_WINDOW_BASE, 8, UINT64_MAX - 8));
  CHECK_OK(mtia_pci_bar_read(device, 2, 16, 4, &value));
  CHECK_EQUAL(value, 0xffffffffu);
  CHECK_EQUAL(mtia_pci_bar_read_block(device, 0, 2, back, 4), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_OK(mtia_pci_bar_read_block(device, 0, 0, back, 8));
  CHECK_EQUAL(back[0], 'M');
  CHECK_OK(mtia_close(device));
}

static void halt_and_time(void) {
  struct mtia_device *device = open_device(2);
  char text[64];
  AWAIT((mtia_debug_wait_reason(device, CONTROL, 0, text, sizeof(text)), strcmp(text, "wfi") == 0));
  CHECK_OK(mtia_debug_wait_reason(device, 5, 1, text, sizeof(text)));
  CHECK(strcmp(text, "in reset") == 0);
  CHECK_OK(mtia_debug_halt(device));
  CHECK_OK(mtia_debug_halt(device));
  uint64_t time = bar0(device, MTIA_BAR0_DEVICE_TIME, 8);
  usleep(20000);
  CHECK_EQUAL(bar0(device, MTIA_BAR0_DEVICE_TIME, 8), time);
  uint64_t value = 0;
  CHECK_OK(mtia_debug_register_write(device, CONTROL, 3, 5, 0x55));
  CHECK_OK(mtia_debug_register_read(device, CONTROL, 3, 5, &value));
  CHECK_EQUAL(value, 0x55);
  CHECK_EQUAL(mtia_debug_register_read(device, CONTROL, 4, 5, &value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_register_read(device, 64, 0, 5, &value), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_OK(mtia_debug_memory_read(device, CONTROL, MTIA_BOOT_ROM_BASE, &value, 8));
  CHECK(value != 0);
  CHECK_EQUAL(mtia_debug_memory_write(device, CONTROL, MTIA_BOOT_ROM_BASE, &value, 8), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_memory_read(device, CONTROL, MTIA_TIMER_BASE, &value, 8), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  CHECK_EQUAL(mtia_debug_memory_read(device, CONTROL, UINT64_MAX - 3, &value, 8), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  /* One PE's local memory, from both sides. */
  value = 0x1234567890;
  CHECK_OK(mtia_debug_memory_write(device, 9, MTIA_PE_LOCAL_BASE + 16, &value, 8));
  value = 0;
  CHECK_OK(mtia_debug_memory_read(device, CONTROL, MTIA_PE_WINDOW_BASE + 9 * 0x100000 + 16, &value, 8));
  CHECK_EQUAL(value, 0x1234567890);
  /* A reset leaves the chip halted, at the first instruction of the ROM. */
  CHECK_OK(mtia_pci_function_reset(device));
  CHECK_OK(mtia_debug_register_read(device, CONTROL, 0, 32, &value));
  CHECK_EQUAL(value, MTIA_BOOT_ROM_BASE);
  CHECK_OK(mtia_debug_resume(device));
  CHECK_OK(mtia_debug_resume(device));
  AWAIT(bar0(device, MTIA_BAR0_BOOT_STATUS, 4) == MTIA_BOOT_ROM_READY);
  uint64_t later = bar0(device, MTIA_BAR0_DEVICE_TIME, 8);
  CHECK(later > time && later - time < 10000000000ull);
  CHECK_OK(mtia_close(device));
}

static void use_after_close(void) {
  struct mtia_device *device = open_device(1);
  CHECK_OK(mtia_close(device));
  uint64_t value = 0;
  uint32_t word = 0;
  int32_t fd = 0;
  char text[8];
  struct mtia_counters counters = {.struct_bytes = sizeof(counters)};
  for (int round = 0; round < 3; round++) {
    CHECK_OK(mtia_close(device));
    CHECK_EQUAL(mtia_pci_config_read(device, 0, 2, &word), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_pci_config_write(device, 4, 2, 6), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_pci_bar_read(device, 0, 0, 4, &value), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_pci_bar_write(device, 0, 0, 4, 0), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_pci_bar_read_block(device, 2, 0, text, 4), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_pci_bar_write_block(device, 2, 0, text, 4), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_pci_dma_map(device, 0, 0, text, 4096, 3), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_pci_dma_unmap(device, 0, 0, 4096), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_pci_interrupt_fd(device, 0, &fd), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_pci_function_reset(device), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_console_read(device, text, 8, &word), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_halt(device), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_resume(device), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_register_read(device, 0, 0, 0, &value), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_register_write(device, 0, 0, 0, 0), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_memory_read(device, 0, 0, text, 8), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_memory_write(device, 0, 0, text, 8), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_run(device, 0, 0, 1, &word, &word), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_wait_reason(device, 0, 0, text, 8), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_counters(device, &counters), MTIA_ERROR_CHIP_CLOSED);
    CHECK_EQUAL(mtia_debug_matmul_path(device, text, 8), MTIA_ERROR_CHIP_CLOSED);
  }
}

static uint32_t entries_of(const char *folder) {
  DIR *directory = opendir(folder);
  CHECK(directory != NULL);
  uint32_t count = 0;
  while (readdir(directory) != NULL) count++;
  closedir(directory);
  return count;
}

static uint64_t resident_bytes(void) {
  FILE *file = fopen("/proc/self/statm", "r");
  unsigned long long total = 0, resident = 0;
  CHECK(file != NULL && fscanf(file, "%llu %llu", &total, &resident) == 2);
  fclose(file);
  return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

#define OPENINGS 200
static void open_and_close(void) {
  uint32_t fds = 0, threads = 0;
  uint64_t bytes = 0;
  for (int round = 0; round < OPENINGS; round++) {
    struct mtia_device *device = open_device(1 + round % 2);
    CHECK_EQUAL(bar0(device, MTIA_BAR0_IDENTITY, 4), MTIA_IDENTITY);
    CHECK_OK(mtia_close(device));
    if (round != 20) continue;
    fds = entries_of("/proc/self/fd");
    threads = entries_of("/proc/self/task");
    bytes = resident_bytes();
  }
  CHECK_EQUAL(entries_of("/proc/self/fd"), fds);
  CHECK_EQUAL(entries_of("/proc/self/task"), threads);
  /* Sanitizers keep freed memory for a while. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(resident_bytes() < bytes + (8ull << 20));
#endif
  (void)bytes;
}

static void limit(int resource, rlim_t most) {
  struct rlimit limits;
  CHECK(getrlimit(resource, &limits) == 0);
  limits.rlim_cur = most < limits.rlim_max ? most : limits.rlim_max;
  CHECK(setrlimit(resource, &limits) == 0);
}

/* A host that has nothing left: a status, and nothing stays behind. */
static void no_resources(void) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  struct mtia_open_parameters parameters = {.struct_bytes = sizeof(parameters), .generation = 2, .lpddr_bytes = TEST_LPDDR_BYTES};
  struct mtia_device *device = NULL;
  uint32_t fds = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
  for (rlim_t most = 4; most < 30; most += 5) {
    limit(RLIMIT_NOFILE, most);
    CHECK_EQUAL(mtia_open(&parameters, &device), MTIA_ERROR_CHIP_SYSTEM);
  }
  limit(RLIMIT_NOFILE, 1024);
  for (rlim_t most = 100; most < 500; most += 50) {
    limit(RLIMIT_AS, most << 20);
    CHECK_EQUAL(mtia_open(&parameters, &device), MTIA_ERROR_CHIP_NO_MEMORY);
  }
  limit(RLIMIT_AS, RLIM_INFINITY);
  CHECK_EQUAL(entries_of("/proc/self/fd"), fds);
  CHECK_EQUAL(entries_of("/proc/self/task"), threads);
  CHECK_OK(mtia_close(open_device(2)));
#endif
}

/* Calls everything until the device is closed under it. */
static void *caller(void *argument) {
  struct mtia_device *device = argument;
  for (uint32_t turn = 0;; turn++) {
    uint64_t value = 0;
    int32_t status = MTIA_ERROR_OK;
    switch (turn % 6) {
      case 0: status = mtia_pci_bar_read(device, 0, 0, 4, &value); break;
      case 1: status = mtia_debug_halt(device); break;
      case 2: status = mtia_debug_resume(device); break;
      case 3: status = mtia_pci_function_reset(device); break;
      case 4: status = mtia_pci_bar_write(device, 2, 0, 4, turn); break;
      case 5: status = mtia_close(NULL) == MTIA_ERROR_CHIP_BAD_ARGUMENT ? MTIA_ERROR_OK : MTIA_ERROR_CHIP_SYSTEM; break;
    }
    if (status == MTIA_ERROR_CHIP_CLOSED) return NULL;
    CHECK_OK(status);
  }
}

static void bar0_write(struct mtia_device *device, uint32_t offset, uint32_t value) { CHECK_OK(mtia_pci_bar_write(device, 0, offset, 4, value)); }

/* A card with less than its generation has says so, and has no more. */
static void reduced_configuration(void) {
  const struct mtia_open_parameters parameters = {
      .struct_bytes = sizeof(parameters), .generation = 2, .lpddr_bytes = TEST_LPDDR_BYTES, .queues = 2, .interrupt_vectors = 1, .without_broadcast = 1};
  struct mtia_device *const device = open_configured(&parameters);
  CHECK_EQUAL(bar0(device, MTIA_BAR0_QUEUES, 4), 2);
  CHECK_EQUAL(bar0(device, MTIA_BAR0_INTERRUPT_VECTORS, 4), 1);
  CHECK_EQUAL(bar0(device, MTIA_BAR0_BROADCAST, 4), 0);
  for (uint32_t at = config(device, 0x34, 1); at != 0; at = config(device, at + 1, 1)) {
    if (config(device, at, 1) == 0x11) CHECK_EQUAL(config(device, at + 2, 2) & 0x7ff, 0);
  }
  int32_t fd = -1;
  CHECK_OK(mtia_pci_interrupt_fd(device, 0, &fd));
  CHECK_EQUAL(mtia_pci_interrupt_fd(device, 1, &fd), MTIA_ERROR_CHIP_BAD_ARGUMENT);
  const uint32_t last = MTIA_PCI_QUEUE_PAGE_OFFSET + MTIA_PCI_QUEUE_PAGE_BYTES, behind = last + MTIA_PCI_QUEUE_PAGE_BYTES;
  bar0_write(device, last + MTIA_QUEUE_PAGE_CONTEXT, 5);
  CHECK_EQUAL(bar0(device, last + MTIA_QUEUE_PAGE_CONTEXT, 4), 5);
  bar0_write(device, behind + MTIA_QUEUE_PAGE_CONTEXT, 5);
  bar0_write(device, behind + MTIA_QUEUE_PAGE_ENABLE, 1);
  CHECK_EQUAL(bar0(device, behind + MTIA_QUEUE_PAGE_CONTEXT, 4), 0);
  CHECK_EQUAL(bar0(device, behind + MTIA_QUEUE_PAGE_ENABLE, 4), 0);
  /* A vector that the card has not is refused as any other wrong set-up is. */
  bar0_write(device, last + MTIA_QUEUE_PAGE_SUBMISSION_ENTRIES, 16);
  bar0_write(device, last + MTIA_QUEUE_PAGE_COMPLETION_ENTRIES, 16);
  for (uint32_t vector = 0; vector < 2; vector++) {
    bar0_write(device, last + MTIA_QUEUE_PAGE_VECTOR, vector);
    bar0_write(device, last + MTIA_QUEUE_PAGE_ENABLE, 1);
    CHECK_EQUAL(bar0(device, last + MTIA_QUEUE_PAGE_FAULT, 4), vector == 0 ? MTIA_ERROR_OK : MTIA_ERROR_INVALID_COMMAND);
  }
  CHECK_OK(mtia_close(device));
}

static void *closer(void *argument) {
  CHECK_OK(mtia_close(argument));
  return NULL;
}

static void close_under_calls(void) {
  for (int round = 0; round < 20; round++) {
    struct mtia_device *device = open_device(2);
    pthread_t callers[3], closers[2];
    for (int index = 0; index < 3; index++) pthread_create(&callers[index], NULL, caller, device);
    usleep(2000);
    for (int index = 0; index < 2; index++) pthread_create(&closers[index], NULL, closer, device);
    for (int index = 0; index < 3; index++) pthread_join(callers[index], NULL);
    for (int index = 0; index < 2; index++) pthread_join(closers[index], NULL);
  }
}

int main(int argc, char **argv) {
  const struct test_case cases[] = {
      {"arguments", arguments}, {"config-space", config_space}, {"bar-rules", bar_rules}, {"halt-and-time", halt_and_time},
      {"use-after-close", use_after_close}, {"open-and-close", open_and_close}, {"no-resources", no_resources}, {"close-under-calls", close_under_calls}, {"reduced-configuration", reduced_configuration},
  };
  return run_cases(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
