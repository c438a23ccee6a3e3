/*
 * Who owns which 64 KiB page of device memory: the firmware's own record of what it told the chip's memory protection, and
 * the one place of the rule. Accesses that the chip checks (DMA engine, PEs) need nothing of this; it is for what the
 * firmware itself reads on a context's behalf.
 */
#ifndef MTIA_CONTROL_PAGE_OWNERS_H
#define MTIA_CONTROL_PAGE_OWNERS_H
#include <stdbool.h>
#include <stdint.h>
#include "generated/mtia_hw.h"

#define SRAM_PAGES (MTIA_SRAM_SIZE / MTIA_PROTECTION_PAGE_BYTES)
#define LPDDR_PAGES (MTIA_LPDDR_SIZE / MTIA_PROTECTION_PAGE_BYTES)

/* Pages by number: those of SRAM, then those of LPDDR. */
struct page_range {
  uint32_t first, end;
};

struct page_owners {
  uint32_t sram_pages, lpddr_pages;                /* that this chip has */
  bool was_reset;                                  /* memory kept what it held, and nobody knows whose it was */
  struct page_range touched[MTIA_LIMIT_CONTEXTS];  /* all pages of the context lie in it */
  uint8_t owner[SRAM_PAGES + LPDDR_PAGES];         /* a context, 0, or what page_owners.c says */
};

/* Everything is free but what firmware keeps for itself; the code in SRAM becomes readable by all. */
void page_owners_initialise(struct page_owners *owners, uint64_t sram_bytes, uint64_t lpddr_bytes);
/* The pages of bytes at an address; false where they are not all in one memory. bytes is not 0. */
bool page_range_of(const struct page_owners *owners, uint64_t address, uint64_t bytes, struct page_range *range);
/* True where the context may read every byte. bytes is not 0. */
bool page_owners_allow_read(const struct page_owners *owners, uint32_t context, uint64_t address, uint64_t bytes);
bool page_owners_all_free(const struct page_owners *owners, struct page_range range);
bool page_owners_all_of(const struct page_owners *owners, struct page_range range, uint32_t context);
/* True where a free page still holds what another context wrote. */
bool page_owners_need_scrub(const struct page_owners *owners, struct page_range range, uint32_t context);
/* Changes record and chip. An error code. */
uint32_t page_owners_give(struct page_owners *owners, struct page_range range, uint32_t context);
uint32_t page_owners_take_back(struct page_owners *owners, struct page_range range, uint32_t context);
uint32_t page_owners_take_back_all(struct page_owners *owners, uint32_t context);

#endif
