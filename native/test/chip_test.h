/* What chip_test*.c share: checks, cases by name, a device, and scripts of register accesses that its control hart executes. */
#ifndef MTIA_CHIP_TEST_H
#define MTIA_CHIP_TEST_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "generated/mtia_hw.h"
#include "mtia.h"

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      exit(1); \
    } \
  } while (0)
#define CHECK_EQUAL(actual, expected) \
  do { \
    uint64_t actual_ = (uint64_t)(actual), expected_ = (uint64_t)(expected); \
    if (actual_ != expected_) { \
      fprintf(stderr, "%s:%d: %s is 0x%llx, expected 0x%llx\n", __FILE__, __LINE__, #actual, (unsigned long long)actual_, (unsigned long long)expected_); \
      exit(1); \
    } \
  } while (0)
#define CHECK_OK(call) CHECK_EQUAL(call, MTIA_ERROR_OK)

struct test_case {
  const char *name;
  void (*run)(void);
};

/* Runs the case that the command line names, or all. */
static inline int run_cases(const struct test_case *cases, size_t count, int argc, char **argv) {
  size_t found = 0;
  for (size_t index = 0; index < count; index++) {
    if (argc > 1 && strcmp(argv[1], cases[index].name) != 0) continue;
    cases[index].run();
    found++;
  }
  if (found == 0) fprintf(stderr, "no case %s\n", argv[1]);
  return found == 0;
}

static inline uint64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Sleeps a little; fails the test where that has gone on for too long. */
static inline void pause_until(uint64_t deadline_ms) {
  CHECK(now_ms() < deadline_ms);
  usleep(100);
}
#define PATIENCE_MS 20000
#define AWAIT(condition) \
  for (uint64_t deadline_ = now_ms() + PATIENCE_MS; !(condition);) pause_until(deadline_)

#define CONTROL MTIA_DEBUG_CONTROL_CORE
#define TEST_LPDDR_BYTES (256ull << 20)

/* With memory space and bus mastering enabled. */
struct mtia_device *open_configured(const struct mtia_open_parameters *parameters);
struct mtia_device *open_device(uint32_t generation);

static inline uint64_t bar0(struct mtia_device *device, uint64_t offset, uint32_t width) {
  uint64_t value = 0;
  CHECK_OK(mtia_pci_bar_read(device, 0, offset, width, &value));
  return value;
}

static inline void *host_pages(uint64_t bytes) {
  void *pages = NULL;
  CHECK_OK(mtia_host_allocate(bytes, &pages));
  return pages;
}

/* Device memory through the debug door. */
static inline void poke(struct mtia_device *device, uint64_t address, const void *data, uint64_t bytes) {
  CHECK_OK(mtia_debug_halt(device));
  CHECK_OK(mtia_debug_memory_write(device, CONTROL, address, data, bytes));
  CHECK_OK(mtia_debug_resume(device));
}
static inline void peek(struct mtia_device *device, uint64_t address, void *data, uint64_t bytes) {
  CHECK_OK(mtia_debug_halt(device));
  CHECK_OK(mtia_debug_memory_read(device, CONTROL, address, data, bytes));
  CHECK_OK(mtia_debug_resume(device));
}

/* One step of a script; chip_test_programs.h knows the layout. */
struct step {
  uint64_t operation, address, value, mask;
};
enum { STEP_END, STEP_WRITE32, STEP_WRITE64, STEP_READ32, STEP_READ64, STEP_AWAIT32, STEP_AWAIT64 };
#define SCRIPT_ADDRESS 0x10010000ull
#define PROGRAM_ADDRESS MTIA_CONTEXT_SRAM_BASE

#define WRITE32(a, v) {STEP_WRITE32, (a), (v), 0}
#define WRITE64(a, v) {STEP_WRITE64, (a), (v), 0}
#define READ32(a) {STEP_READ32, (a), 0, 0}
#define READ64(a) {STEP_READ64, (a), 0, 0}
#define AWAIT32(a, v, m) {STEP_AWAIT32, (a), (v), (m)}
#define AWAIT64(a, v, m) {STEP_AWAIT64, (a), (v), (m)}

/* Gives the number by which script_ended knows this run. */
uint32_t start_script(struct mtia_device *device, const struct step *steps, size_t count);
/* Fails the test where the script has trapped. */
bool script_ended(struct mtia_device *device, uint32_t run);
/* Runs the steps to their end; values that were read replace those of READ steps. */
void run_script(struct mtia_device *device, struct step *steps, size_t count);
#define RUN(device, steps) run_script(device, steps, sizeof(steps) / sizeof((steps)[0]))
#define START(device, steps) start_script(device, steps, sizeof(steps) / sizeof((steps)[0]))

#endif
