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
enum memory_kind { MEMORY_NONE, MEMORY_SRAM, MEMORY_LPDDR };

/*
 * Host pointer to bytes of SRAM or LPDDR at a device address, or NULL where the range is not memory, or a 64 KiB page of it
 * is not owned by context (context 0 = firmware: everything; shared pages are readable by all). Ranges may cross pages:
 * SRAM and LPDDR are each contiguous in host memory. Never blocks; callable from any thread.
 */
uint8_t *memory_at(struct memory *memory, uint32_t context, uint64_t address, uint64_t bytes, enum memory_right right);
enum memory_kind memory_kind_of(const struct memory *memory, uint64_t address);

#endif
