#include "kernels.h"
#include <stddef.h>
#include "console.h"
#include "context_memory.h"
#include "elf_image.h"
#include "memory_layout.h"
#include "mmio.h"

_Static_assert(MONITOR_BASE == MTIA_SRAM_BASE, "the PE monitor lies at the base of SRAM");

#define CODE_END (MTIA_SRAM_BASE + MTIA_RESERVED_SRAM_FIRMWARE_BYTES)
#define CODE_ALIGNMENT 64u
#define TABLE_SIZE (sizeof((struct kernels *)NULL)->table / sizeof(struct kernel))
/* No kernel is longer, and the loader's sums cannot wrap around. */
#define LARGEST_KERNEL MTIA_RESERVED_SRAM_FIRMWARE_BYTES

/* Open addressing: the place of the id, or the free place where it would go. The table never fills: it is twice as large. */
static struct kernel *place_of(struct kernels *kernels, uint32_t id) {
  uint32_t at = id % TABLE_SIZE;
  while (kernels->table[at].section != NULL && kernels->table[at].section->kernel_id != id) at = (at + 1) % TABLE_SIZE;
  return &kernels->table[at];
}

void kernels_initialise(struct control *control) {
  struct kernels *kernels = &control->kernels;
  kernels->next_code = MONITOR_BASE + MONITOR_BYTES;
  for (uint32_t i = 0; i < control->bundle.header.section_count; i++) {
    const struct mtia_bundle_section *section = &control->bundle.sections[i];
    if (section->kind != MTIA_BUNDLE_KERNEL) continue;
    place_of(kernels, section->kernel_id)->section = section;
    kernels->count++;
  }
}

/* Code has been written: no hart may go on with what it had fetched there before. */
static void publish_code(void) {
  memory_barrier();
  mmio_write32(REGISTER(SYSTEM_CONTROL, INSTRUCTION_FENCE), 1);
}

static bool is_read_only(const struct elf_image *image) {
  for (uint32_t i = 0; i < image->segment_count; i++) {
    if (image->segments[i].writable) return false;
  }
  return true;
}

/* The boot ROM has checked the hash, but that was then: device memory may have been written, or have failed, since. */
static bool read_section(const struct control *control, const struct mtia_bundle_section *section, struct elf_image *image) {
  return bundle_section_is_intact(&control->bundle, section) &&
         elf_image_read(image, bundle_bytes(&control->bundle, section), section->bytes) && is_read_only(image);
}

static uint32_t load(struct control *control, struct kernel *kernel) {
  struct kernels *kernels = &control->kernels;
  struct elf_image image;
  const uint64_t file = (uint64_t)(uintptr_t)bundle_bytes(&control->bundle, kernel->section);
  if (guarded_check(file, (kernel->section->bytes + 7) / 8) != 0) return MTIA_ERROR_ECC_UNCORRECTABLE;
  if (!read_section(control, kernel->section, &image) || image.low % CODE_ALIGNMENT != 0 ||
      image.high - image.low > LARGEST_KERNEL) {
    return MTIA_ERROR_INVALID_KERNEL;
  }
  const uint64_t bytes = (image.high - image.low + CODE_ALIGNMENT - 1) / CODE_ALIGNMENT * CODE_ALIGNMENT;
  if (bytes > CODE_END - kernels->next_code) return MTIA_ERROR_OUT_OF_CODE_MEMORY;
  /* Kernels run at any address: they contain none (mtia_kernel.h). */
  const uint64_t displacement = kernels->next_code - image.low;
  elf_image_load(&image, displacement);
  kernel->entry = image.entry + displacement;
  kernels->next_code += bytes;
  publish_code();
  return MTIA_ERROR_OK;
}

static void announce(const struct kernel *kernel) {
  console_text("kernel ");
  console_text((const char *)kernel->section->name);
  if (kernel->error == MTIA_ERROR_OK) {
    console_text(" at ");
    console_hexadecimal(kernel->entry);
  } else {
    console_text(" refused, error ");
    console_decimal(kernel->error);
  }
  console_text("\n");
}

uint32_t kernel_load(struct control *control, uint32_t id, uint64_t *entry) {
  struct kernel *kernel = place_of(&control->kernels, id);
  if (kernel->section == NULL) return MTIA_ERROR_UNKNOWN_KERNEL;
  if (kernel->entry == 0 && kernel->error == MTIA_ERROR_OK) {
    kernel->error = load(control, kernel);
    announce(kernel);
  }
  *entry = kernel->entry;
  return kernel->error;
}

uint32_t monitor_start(struct control *control) {
  const struct mtia_bundle_section *section = bundle_find(&control->bundle, MTIA_BUNDLE_PE_MONITOR);
  struct elf_image image;
  if (section == NULL || !read_section(control, section, &image) || image.low < MONITOR_BASE ||
      image.high > MONITOR_BASE + MONITOR_BYTES) {
    return MTIA_ERROR_BOOT_BAD_BUNDLE;
  }
  elf_image_load(&image, 0);
  publish_code();
  mmio_write64(REGISTER(SYSTEM_CONTROL, PE_RESET_VECTOR), image.entry);
  const struct rectangle grid = {0, 0, control->chip.columns, control->chip.rows};
  pes_reset(rectangle_pes(&control->chip, grid));
  return MTIA_ERROR_OK;
}
