#include <stdatomic.h>
#include "chip_test.h"
#include "chip_test_programs.h"

#define REGISTER_PC 32
#define MOST_DEVICES 1024

struct mtia_device *open_configured(const struct mtia_open_parameters *parameters) {
  /* Handles outlive their devices on purpose: kept here, the leak checker finds them. */
  static struct mtia_device *_Atomic opened[MOST_DEVICES];
  static _Atomic uint32_t count;
  struct mtia_device *device = NULL;
  CHECK_OK(mtia_open(parameters, &device));
  CHECK_OK(mtia_pci_config_write(device, 4, 2, 6));
  uint32_t index = atomic_fetch_add(&count, 1);
  CHECK(index < MOST_DEVICES);
  atomic_store(&opened[index], device);
  return device;
}

struct mtia_device *open_device(uint32_t generation) {
  const struct mtia_open_parameters parameters = {.struct_bytes = sizeof(parameters), .generation = generation, .lpddr_bytes = TEST_LPDDR_BYTES, .pe_threads = 2};
  return open_configured(&parameters);
}

uint32_t start_script(struct mtia_device *device, const struct step *steps, size_t count) {
  static _Atomic uint32_t runs = 0x1000; /* above every BOOT_STATUS */
  uint32_t run = atomic_fetch_add(&runs, 1);
  const struct step end = {STEP_END, 0, run, 0};
  /* The boot ROM must have ended what it does before it waits. */
  AWAIT(bar0(device, MTIA_BAR0_BOOT_STATUS, 4) != MTIA_BOOT_RESET);
  CHECK_OK(mtia_debug_halt(device));
  CHECK_OK(mtia_debug_memory_write(device, CONTROL, PROGRAM_ADDRESS, script_program, sizeof(script_program)));
  CHECK_OK(mtia_debug_memory_write(device, CONTROL, SCRIPT_ADDRESS, steps, count * sizeof(*steps)));
  CHECK_OK(mtia_debug_memory_write(device, CONTROL, SCRIPT_ADDRESS + count * sizeof(*steps), &end, sizeof(end)));
  CHECK_OK(mtia_debug_register_write(device, CONTROL, 0, REGISTER_PC, PROGRAM_ADDRESS));
  CHECK_OK(mtia_debug_resume(device));
  return run;
}

bool script_ended(struct mtia_device *device, uint32_t run) {
  uint64_t status = bar0(device, MTIA_BAR0_BOOT_STATUS, 4);
  CHECK(status != MTIA_BOOT_FAILED);
  return status == run;
}

void run_script(struct mtia_device *device, struct step *steps, size_t count) {
  uint32_t run = start_script(device, steps, count);
  AWAIT(script_ended(device, run));
  peek(device, SCRIPT_ADDRESS, steps, count * sizeof(*steps));
}
