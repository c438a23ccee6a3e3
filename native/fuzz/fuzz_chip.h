/*
 * A chip of each generation, opened once for many inputs: under the sanitizers opening one costs more than an input does. Each
 * input gets it with the configuration space of power-on, after a function reset, and running. SRAM and LPDDR keep what
 * earlier inputs wrote, as DRAM does: INPUTS_PER_CHIP bounds how far back that goes, and a program that is given one file to
 * see a crash again starts with a new chip.
 */
#ifndef MTIA_FUZZ_CHIP_H
#define MTIA_FUZZ_CHIP_H
#include "../test/chip_test.h"

enum { CONFIG_WORDS = 64, INPUTS_PER_CHIP = 256, FUZZ_LPDDR_BYTES = 64 << 20 };

struct fuzz_chip {
  struct mtia_device *device;
  uint32_t inputs;
  uint32_t config[CONFIG_WORDS];
};

static inline void fuzz_chip_open(struct fuzz_chip *chip, uint32_t generation) {
  /* The portable arithmetic: the others are compared with it, at length, whenever a device opens. */
  const struct mtia_open_parameters parameters = {.struct_bytes = sizeof parameters, .generation = generation,
                                                  .lpddr_bytes = FUZZ_LPDDR_BYTES, .pe_threads = 1,
                                                  .matmul_path = MTIA_MATMUL_PORTABLE};
  CHECK_OK(mtia_open(&parameters, &chip->device));
  for (uint32_t word = 0; word < CONFIG_WORDS; word++) CHECK_OK(mtia_pci_config_read(chip->device, word * 4, 4, &chip->config[word]));
}

/* A chip as after power-on, but for what its memory holds, with memory space and bus mastering enabled. */
static inline struct mtia_device *fuzz_chip(uint32_t generation) {
  static struct fuzz_chip chips[2];
  struct fuzz_chip *const chip = &chips[generation - 1];
  if (chip->inputs++ % INPUTS_PER_CHIP == 0) {
    if (chip->device != NULL) CHECK_OK(mtia_close(chip->device));
    fuzz_chip_open(chip, generation);
  } else {
    CHECK_OK(mtia_debug_resume(chip->device));
    for (uint32_t word = 0; word < CONFIG_WORDS; word++) CHECK_OK(mtia_pci_config_write(chip->device, word * 4, 4, chip->config[word]));
    CHECK_OK(mtia_pci_function_reset(chip->device));
  }
  CHECK_OK(mtia_pci_config_write(chip->device, 4, 2, 6));
  return chip->device;
}

#endif
