/*
 * The boot ROM: waits for the driver to stage a bundle in LPDDR, checks all of it, loads the control firmware and starts
 * it. A bundle that fails leaves BOOT_ERROR and a parked chip; only a function reset brings it back.
 */
#include <stddef.h>
#include "bundle.h"
#include "console.h"
#include "elf_image.h"
#include "memory_layout.h"
#include "mmio.h"

_Static_assert(CONTROL_BASE == MTIA_CONTEXT_SRAM_BASE, "context SRAM");
_Static_assert(CONTROL_STACK_TOP == MTIA_CONTEXT_SRAM_BASE + MTIA_CONTEXT_SRAM_SIZE, "context SRAM");

void boot_rom_main(void);
void boot_rom_trap(uint64_t cause, uint64_t pc, uint64_t value);
_Noreturn void boot_rom_jump(uint64_t bundle, uint64_t bytes, uint64_t entry);
_Noreturn void park(void);

static void set_boot_status(uint32_t status) { mmio_write32(REGISTER(MAILBOX, BOOT_STATUS), status); }

static void fail(uint32_t error) {
  mmio_write32(REGISTER(MAILBOX, BOOT_ERROR), error);
  set_boot_status(MTIA_BOOT_FAILED);
}

static void wait_for_doorbell(void) {
  mmio_write32(REGISTER(INTERRUPT_CONTROLLER, ENABLE), 1u << MTIA_INTERRUPT_MAILBOX);
  CSR_WRITE(mie, INTERRUPT_EXTERNAL);
  uint32_t rung;
  while ((rung = mmio_read32(REGISTER(MAILBOX, BOOT_DOORBELL))) == 0) wait_for_interrupt();
  mmio_write32(REGISTER(MAILBOX, BOOT_DOORBELL), rung);
}

static uint32_t check_hashes(const struct bundle *bundle) {
  for (uint32_t i = 0; i < bundle->header.section_count; i++) {
    const struct mtia_bundle_section *section = &bundle->sections[i];
    /* The signature covers the records: it cannot be hashed in one of them. The driver has verified it. */
    if (section->kind != MTIA_BUNDLE_SIGNATURE && !bundle_section_is_intact(bundle, section)) {
      return MTIA_ERROR_BOOT_BAD_HASH;
    }
  }
  return MTIA_ERROR_OK;
}

static uint32_t check_generation(const struct bundle *bundle) {
  const uint32_t generation = mmio_read32(REGISTER(SYSTEM_CONTROL, GENERATION));
  return (bundle->header.generations >> generation & 1) != 0 ? MTIA_ERROR_OK : MTIA_ERROR_BOOT_WRONG_CHIP;
}

static uint32_t load_control_firmware(const struct bundle *bundle, uint64_t *entry) {
  const struct mtia_bundle_section *section = bundle_find(bundle, MTIA_BUNDLE_CONTROL_FIRMWARE);
  if (section == NULL) return MTIA_ERROR_BOOT_NO_CONTROL_FIRMWARE;
  struct elf_image image;
  if (!elf_image_read(&image, bundle_bytes(bundle, section), section->bytes) || image.low < CONTROL_BASE ||
      image.high > CONTROL_BASE + CONTROL_BYTES) {
    return MTIA_ERROR_BOOT_BAD_BUNDLE;
  }
  elf_image_load(&image, 0);
  *entry = image.entry;
  return MTIA_ERROR_OK;
}

static uint32_t load(struct bundle *bundle, uint64_t address, uint64_t bytes, uint64_t *entry) {
  uint32_t error = bundle_read(bundle, address, bytes, mmio_read64(REGISTER(SYSTEM_CONTROL, LPDDR_BYTES)));
  if (error == MTIA_ERROR_OK) error = check_generation(bundle);
  if (error == MTIA_ERROR_OK) error = check_hashes(bundle);
  if (error == MTIA_ERROR_OK) error = load_control_firmware(bundle, entry);
  return error;
}

void boot_rom_main(void) {
  set_boot_status(MTIA_BOOT_ROM_READY);
  wait_for_doorbell();
  set_boot_status(MTIA_BOOT_LOADING);
  const uint64_t address = mmio_read64(REGISTER(MAILBOX, BOOT_IMAGE_ADDRESS));
  const uint64_t bytes = mmio_read64(REGISTER(MAILBOX, BOOT_IMAGE_BYTES));
  struct bundle bundle;
  uint64_t entry = 0;
  const uint32_t error = load(&bundle, address, bytes, &entry);
  if (error == MTIA_ERROR_OK) boot_rom_jump(address, bytes, entry);
  console_text("boot ROM: refused the bundle, error ");
  console_decimal(error);
  console_text("\n");
  fail(error);
}

void boot_rom_trap(uint64_t cause, uint64_t pc, uint64_t value) {
  mmio_write64(REGISTER(MAILBOX, PANIC_CAUSE), cause);
  mmio_write64(REGISTER(MAILBOX, PANIC_PC), pc);
  mmio_write64(REGISTER(MAILBOX, PANIC_VALUE), value);
  fail(MTIA_ERROR_FIRMWARE_PANIC);
}
