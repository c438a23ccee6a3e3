/*
 * Memory of the chip outside the PEs: SRAM, LPDDR, and who may touch which page.
 * Implemented by the chip (memory.c); used by PEs (FI, harts), the DMA engine and the control core.
 */
#ifndef MTIA_MEMORY_H
#define MTIA_MEMORY_H
#include <stdbool.h>
#include <stdint.h>

struct memory;

enum memory_right { MEMORY_READ = 1, MEMORY_WRITE = 2 };
/* A context that owns no page: it may read what all may read. */
#define MEMORY_NOBODY UINT32_MAX
enum memory_kind { MEMORY_NONE, MEMORY_SRAM, MEMORY_LPDDR };

/*
 * Host pointer to bytes of SRAM or LPDDR at a device address, or NULL where the range is not memory, or a 64 KiB page of it
 * is not owned by context (context 0 = firmware: everything; shared pages are readable by all). Ranges may cross pages:
 * SRAM and LPDDR are each contiguous in host memory. Never blocks; callable from any thread.
 */
uint8_t *memory_at(struct memory *memory, uint32_t context, uint64_t address, uint64_t bytes, enum memory_right right);
enum memory_kind memory_kind_of(const struct memory *memory, uint64_t address);

/*
 * Whether the error-correcting code of the LPDDR lets an access happen: false where a read meets a word with more flipped
 * bits than it corrects, whose address is in *bad. Corrects what can be, and forgets the errors of words that are written whole. After
 * memory_at; any thread.
 */
bool memory_is_sound(struct memory *memory, uint64_t address, uint64_t bytes, enum memory_right right, uint64_t *bad);
/* False: memory_is_sound has nothing to say. Costs one load. */
bool memory_has_errors(const struct memory *memory);
/* How control firmware has set up the memories: the value of SYSTEM_CONTROL.MEMORY_CONTROL. Any thread. */
uint32_t memory_setup(const struct memory *memory);

#endif
