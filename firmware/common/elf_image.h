/*
 * The program headers of an ELF file (System V gABI, chapter 5) for this machine: checked before anything is written.
 * Nothing in the file is trusted.
 */
#ifndef MTIA_FIRMWARE_ELF_IMAGE_H
#define MTIA_FIRMWARE_ELF_IMAGE_H
#include <stdbool.h>
#include <stdint.h>

#define ELF_SEGMENTS 8

struct elf_segment {
  uint64_t offset;     /* in the file */
  uint64_t file_bytes; /* copied from the file */
  uint64_t address;
  uint64_t memory_bytes; /* the rest is zero */
  bool writable;
};

struct elf_image {
  const uint8_t *file;
  uint64_t low, high; /* addresses of all segments: low <= address < high */
  uint64_t entry;     /* inside of them */
  uint32_t segment_count;
  struct elf_segment segments[ELF_SEGMENTS];
};

/* False where the file is not a RISC-V executable all of whose segments lie inside it. file is 8-byte aligned. */
bool elf_image_read(struct elf_image *image, const uint8_t *file, uint64_t bytes);
/* Copies every segment to its address + displacement. The caller has checked low and high. */
void elf_image_load(const struct elf_image *image, uint64_t displacement);

#endif
