/* The boot ROM on a damaged bundle: it boots or says that it failed; the chip takes any outcome. Runs in the root folder. */
#include "../../firmware/common/sha256.h"
#include "fuzz_chip.h"
#include "fuzz_input.h"

enum { MOST_BYTES = 8 << 20, HEADER_BYTES = 1024, BOOT_PATIENCE_MS = 100, SECTIONS = 4 };

/* The bundle of the package with its manifest, control firmware, PE monitor and one kernel: the ROM takes most of its time to hash. */
static size_t read_bundle(uint8_t *bundle) {
  FILE *const file = fopen("firmware/bundle/mtia.bundle", "rb");
  CHECK(file != NULL);
  const size_t bytes = fread(bundle, 1, MOST_BYTES, file);
  fclose(file);
  struct mtia_bundle_header *const header = (struct mtia_bundle_header *)bundle;
  const struct mtia_bundle_section *const sections = (const struct mtia_bundle_section *)(header + 1);
  CHECK(bytes > HEADER_BYTES && header->section_count > SECTIONS);
  header->section_count = SECTIONS;
  header->total_bytes = sections[SECTIONS].offset;
  return sections[SECTIONS].offset;
}

/* Makes the hashes right again, so that what is damaged is also run. */
static void rehash(uint8_t *bundle, size_t bytes) {
  struct mtia_bundle_section *const sections = (struct mtia_bundle_section *)(bundle + sizeof(struct mtia_bundle_header));
  for (uint32_t i = 0; i < SECTIONS; i++) {
    const uint64_t offset = sections[i].offset;
    if (offset <= bytes && sections[i].bytes <= bytes - offset) sha256(bundle + offset, sections[i].bytes, sections[i].sha256);
  }
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
  uint8_t *const bundle = calloc(1, MOST_BYTES);
  const size_t whole = read_bundle(bundle);
  size_t length = whole;
  if (options & 2) fuzz_take(&input, &length, 3);
  damage(bundle, whole, &input);
  if (options & 4) rehash(bundle, whole);
  struct mtia_device *const device = fuzz_chip(1 + (options & 1));
  AWAIT(bar0(device, MTIA_BAR0_BOOT_STATUS, 4) == MTIA_BOOT_ROM_READY);
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_WINDOW_BASE, 8, MTIA_LPDDR_BASE));
  CHECK_OK(mtia_pci_bar_write_block(device, 2, 0, bundle, length < MOST_BYTES ? length : MOST_BYTES));
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_IMAGE_ADDRESS, 8, MTIA_LPDDR_BASE));
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_IMAGE_BYTES, 8, length));
  CHECK_OK(mtia_pci_bar_write(device, 0, MTIA_BAR0_BOOT_DOORBELL, 4, 1));
  await_boot(device);
  free(bundle);
  return 0;
}
