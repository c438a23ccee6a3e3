#include "elf_image.h"
#include "bytes.h"

struct elf_header {
  uint8_t identification[16];
  uint16_t type, machine;
  uint32_t version;
  uint64_t entry, program_headers, section_headers;
  uint32_t flags;
  uint16_t header_bytes, program_header_bytes, program_header_count;
  uint16_t section_header_bytes, section_header_count, section_names;
};
_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");

struct program_header {
  uint32_t type, flags;
  uint64_t offset, virtual_address, physical_address, file_bytes, memory_bytes, alignment;
};
_Static_assert(sizeof(struct program_header) == 56, "Elf64_Phdr");

#define EXECUTABLE 2
#define MACHINE_RISCV 243
#define LOADED_SEGMENT 1
#define FLAG_WRITABLE 2
/* ELF, 64-bit, little endian, version 1. */
static const uint8_t IDENTIFICATION[7] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

static bool inside(uint64_t offset, uint64_t bytes, uint64_t total) { return offset <= total && bytes <= total - offset; }

static bool header_is_sound(const struct elf_header *header, uint64_t bytes) {
  return memcmp(header->identification, IDENTIFICATION, sizeof IDENTIFICATION) == 0 && header->type == EXECUTABLE &&
         header->machine == MACHINE_RISCV && header->program_header_bytes == sizeof(struct program_header) &&
         header->program_headers % 8 == 0 &&
         inside(header->program_headers, (uint64_t)header->program_header_count * sizeof(struct program_header), bytes);
}

static bool overlaps(const struct elf_image *image, const struct program_header *added) {
  for (uint32_t i = 0; i < image->segment_count; i++) {
    const struct elf_segment *other = &image->segments[i];
    if (added->virtual_address < other->address + other->memory_bytes &&
        other->address < added->virtual_address + added->memory_bytes) {
      return true;
    }
  }
  return false;
}

static bool add_segment(struct elf_image *image, const struct program_header *added, uint64_t bytes) {
  if (added->memory_bytes == 0) return true;
  if (image->segment_count == ELF_SEGMENTS || added->file_bytes > added->memory_bytes ||
      !inside(added->offset, added->file_bytes, bytes) ||
      added->virtual_address + added->memory_bytes < added->virtual_address || overlaps(image, added)) {
    return false;
  }
  image->segments[image->segment_count++] = (struct elf_segment){
      .offset = added->offset,
      .file_bytes = added->file_bytes,
      .address = added->virtual_address,
      .memory_bytes = added->memory_bytes,
      .writable = (added->flags & FLAG_WRITABLE) != 0,
  };
  if (added->virtual_address < image->low) image->low = added->virtual_address;
  if (added->virtual_address + added->memory_bytes > image->high) {
    image->high = added->virtual_address + added->memory_bytes;
  }
  return true;
}

bool elf_image_read(struct elf_image *image, const uint8_t *file, uint64_t bytes) {
  if (bytes < sizeof(struct elf_header)) return false;
  const struct elf_header *header = (const struct elf_header *)(const void *)file;
  if (!header_is_sound(header, bytes)) return false;
  *image = (struct elf_image){.file = file, .low = ~0ull, .entry = header->entry};
  const struct program_header *segments = (const struct program_header *)(const void *)(file + header->program_headers);
  for (uint32_t i = 0; i < header->program_header_count; i++) {
    if (segments[i].type == LOADED_SEGMENT && !add_segment(image, &segments[i], bytes)) return false;
  }
  return image->segment_count > 0 && image->entry >= image->low && image->entry < image->high && image->entry % 2 == 0;
}

void elf_image_load(const struct elf_image *image, uint64_t displacement) {
  for (uint32_t i = 0; i < image->segment_count; i++) {
    const struct elf_segment *segment = &image->segments[i];
    uint8_t *to = (uint8_t *)(uintptr_t)(segment->address + displacement);
    memcpy(to, image->file + segment->offset, segment->file_bytes);
    memset(to + segment->file_bytes, 0, segment->memory_bytes - segment->file_bytes);
  }
}
