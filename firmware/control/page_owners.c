#include "page_owners.h"
#include "mmio.h"

/* Values of a page's byte: 0 = free and not used since the firmware started, 1..31 = its context, and: */
#define USED_BEFORE 0x40u /* free; the low bits are its last context, whose data it holds */
#define FIRMWARE_ONLY 0x80u
#define READABLE_BY_ALL 0xffu

static bool is_free(uint8_t owner) { return owner == 0 || (owner & ~(MTIA_LIMIT_CONTEXTS - 1u)) == USED_BEFORE; }

static void record(struct page_owners *owners, struct page_range range, uint8_t owner) {
  for (uint32_t page = range.first; page < range.end; page++) owners->owner[page] = owner;
}

static uint64_t address_of(uint32_t page) {
  return page < SRAM_PAGES ? MTIA_SRAM_BASE + (uint64_t)page * MTIA_PROTECTION_PAGE_BYTES
                           : MTIA_LPDDR_BASE + (page - SRAM_PAGES) * MTIA_PROTECTION_PAGE_BYTES;
}

static uint32_t tell_chip(struct page_range range, uint32_t owner) {
  mmio_write64(REGISTER(SYSTEM_CONTROL, PROTECTION_ADDRESS), address_of(range.first));
  mmio_write32(REGISTER(SYSTEM_CONTROL, PROTECTION_PAGES), range.end - range.first);
  mmio_write32(REGISTER(SYSTEM_CONTROL, PROTECTION_OWNER), owner);
  return mmio_read32(REGISTER(SYSTEM_CONTROL, PROTECTION_ERROR));
}

void page_owners_initialise(struct page_owners *owners, uint64_t sram_bytes, uint64_t lpddr_bytes) {
  owners->sram_pages = (uint32_t)(sram_bytes / MTIA_PROTECTION_PAGE_BYTES);
  owners->was_reset = mmio_read32(REGISTER(MAILBOX, RESET_COUNT)) != 0;
  owners->lpddr_pages = (uint32_t)(lpddr_bytes / MTIA_PROTECTION_PAGE_BYTES);
  const struct page_range code = {0, MTIA_RESERVED_SRAM_FIRMWARE_BYTES / MTIA_PROTECTION_PAGE_BYTES};
  const struct page_range bundle = {
      SRAM_PAGES, SRAM_PAGES + MTIA_RESERVED_LPDDR_FIRMWARE_BYTES / MTIA_PROTECTION_PAGE_BYTES};
  record(owners, code, READABLE_BY_ALL);
  record(owners, bundle, FIRMWARE_ONLY);
  tell_chip(code, MTIA_OWNER_SHARED_READ_ONLY);
}

static bool range_in(uint64_t offset, uint64_t bytes, uint32_t pages, uint32_t first_page, struct page_range *range) {
  const uint64_t size = (uint64_t)pages * MTIA_PROTECTION_PAGE_BYTES;
  if (bytes > size || offset > size - bytes) return false;
  range->first = first_page + (uint32_t)(offset / MTIA_PROTECTION_PAGE_BYTES);
  range->end = first_page + (uint32_t)((offset + bytes - 1) / MTIA_PROTECTION_PAGE_BYTES) + 1;
  return true;
}

bool page_range_of(const struct page_owners *owners, uint64_t address, uint64_t bytes, struct page_range *range) {
  /* An address below a base wraps around to an offset that no memory has. */
  return range_in(address - MTIA_LPDDR_BASE, bytes, owners->lpddr_pages, SRAM_PAGES, range) ||
         range_in(address - MTIA_SRAM_BASE, bytes, owners->sram_pages, 0, range);
}

bool page_owners_allow_read(const struct page_owners *owners, uint32_t context, uint64_t address, uint64_t bytes) {
  struct page_range range;
  if (!page_range_of(owners, address, bytes, &range)) return false;
  for (uint32_t page = range.first; page < range.end; page++) {
    if (owners->owner[page] != context && owners->owner[page] != READABLE_BY_ALL) return false;
  }
  return true;
}

bool page_owners_all_free(const struct page_owners *owners, struct page_range range) {
  for (uint32_t page = range.first; page < range.end; page++) {
    if (!is_free(owners->owner[page])) return false;
  }
  return true;
}

bool page_owners_all_of(const struct page_owners *owners, struct page_range range, uint32_t context) {
  for (uint32_t page = range.first; page < range.end; page++) {
    if (owners->owner[page] != context) return false;
  }
  return true;
}

bool page_owners_need_scrub(const struct page_owners *owners, struct page_range range, uint32_t context) {
  for (uint32_t page = range.first; page < range.end; page++) {
    if (owners->owner[page] == 0 && owners->was_reset) return true;
    if (owners->owner[page] != 0 && owners->owner[page] != (USED_BEFORE | context)) return true;
  }
  return false;
}

uint32_t page_owners_give(struct page_owners *owners, struct page_range range, uint32_t context) {
  const uint32_t error = tell_chip(range, context);
  if (error != MTIA_ERROR_OK) return error;
  record(owners, range, (uint8_t)context);
  struct page_range *touched = &owners->touched[context];
  if (touched->end == 0) {
    *touched = range;
  } else {
    if (range.first < touched->first) touched->first = range.first;
    if (range.end > touched->end) touched->end = range.end;
  }
  return MTIA_ERROR_OK;
}

uint32_t page_owners_take_back(struct page_owners *owners, struct page_range range, uint32_t context) {
  const uint32_t error = tell_chip(range, MTIA_OWNER_NONE);
  if (error == MTIA_ERROR_OK) record(owners, range, (uint8_t)(USED_BEFORE | context));
  return error;
}

/* The longest run of pages of the context from the first on; SRAM and LPDDR do not adjoin. */
static struct page_range next_run(const struct page_owners *owners, struct page_range within, uint32_t context) {
  uint32_t first = within.first;
  while (first < within.end && owners->owner[first] != context) first++;
  const uint32_t limit = first < SRAM_PAGES && within.end > SRAM_PAGES ? SRAM_PAGES : within.end;
  uint32_t end = first;
  while (end < limit && owners->owner[end] == context) end++;
  return (struct page_range){first, end};
}

uint32_t page_owners_take_back_all(struct page_owners *owners, uint32_t context) {
  struct page_range rest = owners->touched[context];
  uint32_t error = MTIA_ERROR_OK;
  while (rest.first < rest.end) {
    const struct page_range run = next_run(owners, rest, context);
    if (run.first < run.end) {
      const uint32_t failed = page_owners_take_back(owners, run, context);
      if (error == MTIA_ERROR_OK) error = failed;
    }
    rest.first = run.end > run.first ? run.end : rest.end;
  }
  owners->touched[context] = (struct page_range){0, 0};
  return error;
}
