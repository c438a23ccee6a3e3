#include "bundle.h"
#include <stddef.h>
#include "bytes.h"
#include "sha256.h"

static bool staged_in_lpddr(uint64_t address, uint64_t bytes, uint64_t lpddr_bytes) {
  return address >= MTIA_LPDDR_BASE && address % BUNDLE_ALIGNMENT == 0 && bytes <= lpddr_bytes &&
         address - MTIA_LPDDR_BASE <= lpddr_bytes - bytes;
}

static bool header_is_sound(const struct mtia_bundle_header *header, uint64_t bytes) {
  return header->magic == MTIA_BUNDLE_MAGIC && header->version == MTIA_BUNDLE_VERSION && header->total_bytes == bytes &&
         header->section_count >= 1 && header->section_count <= BUNDLE_SECTIONS &&
         header->protocol_version == MTIA_PROTOCOL_VERSION &&
         (header->reserved[0] | header->reserved[1] | header->reserved[2] | header->reserved[3]) == 0;
}

static bool name_is_terminated(const struct mtia_bundle_section *section) {
  for (size_t i = 0; i < sizeof section->name; i++) {
    if (section->name[i] == '\0') return true;
  }
  return false;
}

/* Sections are in ascending order, so none overlaps another. */
static bool sections_are_sound(const struct bundle *bundle) {
  const uint64_t total = bundle->header.total_bytes;
  uint64_t free_from =
      sizeof(struct mtia_bundle_header) + (uint64_t)bundle->header.section_count * sizeof(struct mtia_bundle_section);
  for (uint32_t i = 0; i < bundle->header.section_count; i++) {
    const struct mtia_bundle_section *section = &bundle->sections[i];
    if (section->kind < MTIA_BUNDLE_MANIFEST || section->kind > MTIA_BUNDLE_SIGNATURE || !name_is_terminated(section) ||
        section->offset % BUNDLE_ALIGNMENT != 0 || section->offset < free_from || section->bytes == 0 ||
        section->bytes > total || section->offset > total - section->bytes) {
      return false;
    }
    free_from = section->offset + section->bytes;
  }
  return true;
}

/* The same kernel id twice, or two sections of a kind that there is one of. */
static bool has_twins(const struct bundle *bundle) {
  for (uint32_t i = 0; i < bundle->header.section_count; i++) {
    for (uint32_t j = 0; j < i; j++) {
      const struct mtia_bundle_section *a = &bundle->sections[i], *b = &bundle->sections[j];
      if (a->kind == b->kind && (a->kind != MTIA_BUNDLE_KERNEL || a->kernel_id == b->kernel_id)) return true;
    }
  }
  return false;
}

uint32_t bundle_read(struct bundle *bundle, uint64_t address, uint64_t bytes, uint64_t lpddr_bytes) {
  if (bytes < sizeof bundle->header || bytes > MTIA_RESERVED_LPDDR_FIRMWARE_BYTES ||
      !staged_in_lpddr(address, bytes, lpddr_bytes)) {
    return MTIA_ERROR_BOOT_BAD_BUNDLE;
  }
  bundle->file = (const uint8_t *)(uintptr_t)address;
  memcpy(&bundle->header, bundle->file, sizeof bundle->header);
  const struct mtia_bundle_header *header = &bundle->header;
  if (!header_is_sound(header, bytes)) return MTIA_ERROR_BOOT_BAD_BUNDLE;
  const uint64_t record_bytes = (uint64_t)header->section_count * sizeof(struct mtia_bundle_section);
  if (record_bytes > bytes - sizeof *header) return MTIA_ERROR_BOOT_BAD_BUNDLE;
  memcpy(bundle->sections, bundle->file + sizeof *header, record_bytes);
  return sections_are_sound(bundle) && !has_twins(bundle) ? MTIA_ERROR_OK : MTIA_ERROR_BOOT_BAD_BUNDLE;
}

bool bundle_section_is_intact(const struct bundle *bundle, const struct mtia_bundle_section *section) {
  uint8_t digest[SHA256_BYTES];
  sha256(bundle_bytes(bundle, section), section->bytes, digest);
  return memcmp(digest, section->sha256, sizeof digest) == 0;
}

const struct mtia_bundle_section *bundle_find(const struct bundle *bundle, uint32_t kind) {
  for (uint32_t i = 0; i < bundle->header.section_count; i++) {
    if (bundle->sections[i].kind == kind) return &bundle->sections[i];
  }
  return NULL;
}
