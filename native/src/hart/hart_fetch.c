/* From a pc to decoded code: private page cache first, then the shared one. */
#include "hart_internal.h"
#include <string.h>

#define PAGE_MASK (~(uint64_t)(HART_PAGE_BYTES - 1))

/* The 4096 bytes at a page-aligned address. Regions give whole pages only. */
static const uint8_t *page_bytes(struct hart *hart, uint64_t pc) {
  for (uint32_t i = 0; i < HART_REGIONS; i++) {
    const struct hart_region *region = &hart->regions[i];
    uint64_t offset = pc - region->base;
    if (offset >= region->bytes || region->bytes - offset < HART_PAGE_BYTES) continue;
    return region->executable ? region->memory + offset : NULL;
  }
  return hart->environment->code_page(hart->environment->context, hart, pc);
}

/* The instruction at pc as it stands in memory, whether it lies in one page or in two. */
static bool fetch_bits(struct hart *hart, uint64_t pc, uint32_t *bits) {
  uint64_t offset = pc & ~PAGE_MASK;
  uint16_t low, high = 0;
  const uint8_t *bytes = page_bytes(hart, pc & PAGE_MASK);
  if (bytes == NULL) return hart_fail(hart, HART_FETCH_FAULT, pc);
  memcpy(&low, bytes + offset, sizeof low);
  if ((low & 3) == 3) {
    uint64_t second = pc + 2;
    if ((second & ~PAGE_MASK) == 0) bytes = page_bytes(hart, second);
    if (bytes == NULL) return hart_fail(hart, HART_FETCH_FAULT, second);
    memcpy(&high, bytes + (second & ~PAGE_MASK), sizeof high);
  }
  *bits = low | (uint32_t)high << 16;
  return true;
}

static const struct operation *enter_single(struct hart *hart, uint64_t pc, const void *const *handlers) {
  struct decoder *d = hart_decoder(hart);
  uint32_t bits = 0;
  if (d->exact || d->single_pc != pc) {
    d->single_pc = 1;
    if (!fetch_bits(hart, pc, &bits)) return NULL;
    single_page_build(&d->single, (uint32_t)(pc & ~PAGE_MASK), bits, handlers);
    d->single_pc = pc;
  }
  d->page = &d->single.page;
  d->page_pc = pc & PAGE_MASK;
  return d->single.operations;
}

const struct operation *hart_cross_page(struct hart *hart, uint64_t pc, const void *const *handlers) {
  return enter_single(hart, pc, handlers);
}

const struct operation *hart_enter(struct hart *hart, uint64_t pc, const void *const *handlers) {
  struct decoder *d = hart_decoder(hart);
  pc &= ~1ull;
  if (d->exact) return enter_single(hart, pc, handlers);
  uint64_t page_pc = pc & PAGE_MASK;
  uint32_t entry = (uint32_t)(pc - page_pc) / 2, way = page_pc / HART_PAGE_BYTES % HART_PRIVATE_PAGES;
  if (d->pages[way].pc != page_pc || d->pages[way].page->index[entry] == HART_NO_OPERATION) {
    const uint8_t *bytes = page_bytes(hart, page_pc);
    if (bytes == NULL) return hart_fail(hart, HART_FETCH_FAULT, pc), NULL;
    struct code_page *page = code_cache_acquire(hart->code, bytes, entry, handlers);
    if (page == NULL) return enter_single(hart, pc, handlers); /* out of host memory: slow, but right */
    if (d->pages[way].pc != 1) code_cache_release(hart->code, d->pages[way].page);
    d->pages[way].pc = page_pc;
    d->pages[way].page = page;
  }
  d->page = d->pages[way].page;
  d->page_pc = page_pc;
  return &d->page->operations[d->page->index[entry]];
}

void hart_drop_code(struct hart *hart) {
  struct decoder *d = hart_decoder(hart);
  d->single_pc = 1;
  for (uint32_t i = 0; i < HART_PRIVATE_PAGES; i++) {
    if (d->pages[i].pc == 1) continue;
    code_cache_release(hart->code, d->pages[i].page);
    d->pages[i].pc = 1;
  }
}

uint32_t hart_instruction_bits(struct hart *hart, uint64_t pc) {
  uint32_t bits = 0;
  return fetch_bits(hart, pc, &bits) ? bits : 0;
}
