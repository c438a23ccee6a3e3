/* The boot ROM on a damaged bundle: it boots or says that it failed; the chip takes any outcome. Runs in the root folder. */
#include "../test/chip_test.h"
#include "fuzz_input.h"

enum { MOST_BYTES = 8 << 20, HEADER_BYTES = 4096, BOOT_PATIENCE_MS = 300 };

static size_t read_bundle(uint8_t *bundle) {
  FILE *const file = fopen("firmware/bundle/mtia.bundle", "rb");
  CHECK(file != NULL);
  const size_t bytes = fread(bundle, 1, MOST_BYTES, file);
  fclose(file);
  return bytes;
}

/* Words written over the bundle: half of them where its tables are. */
static void damage(uint8_t *bundle, size_t bytes, struct fuzz_input *input) {
  while (input->bytes > 0) {
    const uint8_t kind = fuzz_byte(input), width = 1u << kind % 4;
    uint32_t at = 0;
    fuzz_take(input, &at, kind & 4 ? 2 : 4);
    const uint64_t value = fuzz_word(input);
    memcpy(bundle + at % ((kind & 4 ? HEADER_BYTES : bytes) - sizeof value), &value, width);
  }
}

static void await_boot(struct mtia_device *device) {
  const uint64_t deadline = now_ms() + BOOT_PATIENCE_MS;
  while (bar0(device, MTIA_BAR0_BOOT_STATUS, 4) < MTIA_BOOT_READY && now_ms() < deadline) usleep(50);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct fuzz_input input = {data, bytes};
  const uint8_t options = fuzz_byte(&input);
  uint8_t *const bundle = malloc(MOST_BYTES);
  size_t length = read_bundle(bundle);
  if (options & 2) fuzz_take(&input, &length, 3);
  damage(bundle, read_bundle(bundle), &input);
  struct mtia_open_parameters parameters = {.struct_bytes = sizeof parameters, .generation = 1 + (options & 1), .lpddr_bytes = 64 << 20, .pe_threads = 1};
  struct mtia_device *device = NULL;
  CHECK_OK(mtia_open(&parameters, &device));
  CHECK_OK(mtia_pci_config_write(device, 4, 2, 6));
  AWAIT(bar0(device, MTIA_BAR0_BOOT_STATUS, 4) == MTIA_BOOT_ROM_READY);
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_WINDOW_BASE, 8, MTIA_LPDDR_BASE));
  CHECK_OK(mtia_pci_bar_write_block(device, 2, 0, bundle, length < MOST_BYTES ? length : MOST_BYTES));
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_IMAGE_ADDRESS, 8, MTIA_LPDDR_BASE));
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_IMAGE_BYTES, 8, length));
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_DOORBELL, 4, 1));
  await_boot(device);
  CHECK_OK(mtia_close(device));
  free(bundle);
  return 0;
}
