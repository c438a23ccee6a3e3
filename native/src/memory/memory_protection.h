/* The chip's side of memory.h: who owns which page. */
#ifndef MTIA_MEMORY_PROTECTION_H
#define MTIA_MEMORY_PROTECTION_H
#include <stddef.h>
#include "memory.h"

/* NULL where the host has no address space left. */
struct memory *memory_create(uint64_t sram_bytes, uint64_t lpddr_bytes);
void memory_destroy(struct memory *memory);
uint64_t memory_lpddr_bytes(const struct memory *memory);
/* Gives pages to an owner (context, OWNER_NONE or OWNER_SHARED_READ_ONLY). 0 or INVALID_COMMAND. Any thread. */
uint32_t memory_assign(struct memory *memory, uint64_t address, uint64_t pages, uint32_t owner);
/* Takes every page back; contents stay, as in DRAM across a reset. */
void memory_unassign_all(struct memory *memory);
/* First address of the range that memory_at refuses; address + bytes where it refuses none. */
uint64_t memory_first_refused(struct memory *memory, uint32_t context, uint64_t address, uint64_t bytes,
                              enum memory_right right);

/* SYSTEM_CONTROL.MEMORY_CONTROL. A value that does not fit the memory changes nothing. No job runs. */
void memory_set_up(struct memory *memory, uint32_t setup);
uint64_t memory_scratchpad_bytes(const struct memory *memory);
/* Flips bits of the 8-byte word of LPDDR at an address. 0, CHIP_BAD_ARGUMENT, or CHIP_NO_MEMORY: too many words are bad. */
int32_t memory_inject_error(struct memory *memory, uint64_t address, uint64_t bits);
void memory_read_errors(struct memory *memory, uint64_t *corrected, uint64_t *uncorrectable);

/* Zeroed address space whose pages cost memory only once touched. NULL where there is none. */
uint8_t *reserve_pages(size_t bytes);
/* The same in large pages where the host has them, starting with one. bytes: whole small pages. Not in core dumps. */
uint8_t *reserve_large_pages(size_t bytes);
void release_pages(uint8_t *pages, size_t bytes);

#endif
