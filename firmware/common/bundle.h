/* The staged firmware bundle: header and section records, as protocol.ts lays them down. */
#ifndef MTIA_FIRMWARE_BUNDLE_H
#define MTIA_FIRMWARE_BUNDLE_H
#include <stdbool.h>
#include <stdint.h>
#include "generated/mtia_hw.h"

#define BUNDLE_SECTIONS 64
#define BUNDLE_ALIGNMENT 64

/* A private copy of header and records: what was checked cannot be changed afterwards by who writes device memory. */
struct bundle {
  const uint8_t *file;
  struct mtia_bundle_header header;
  struct mtia_bundle_section sections[BUNDLE_SECTIONS];
};

/* Copies and checks everything but the hashes. An error code. */
uint32_t bundle_read(struct bundle *bundle, uint64_t address, uint64_t bytes, uint64_t lpddr_bytes);
/* True where the bytes of the section are those that its record was made for. */
bool bundle_section_is_intact(const struct bundle *bundle, const struct mtia_bundle_section *section);
/* The only section of that kind, or NULL. */
const struct mtia_bundle_section *bundle_find(const struct bundle *bundle, uint32_t kind);
static inline const uint8_t *bundle_bytes(const struct bundle *bundle, const struct mtia_bundle_section *section) {
  return bundle->file + section->offset;
}

#endif
