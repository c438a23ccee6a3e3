/* Entry of the control firmware: a0 = address of the bundle, a1 = its size, from the boot ROM. */
#include "memory_layout.h"

/* Otherwise the symbol table names the assembler's temporary file, which differs from build to build. */
  .file "start.S"

#define MSTATUS_FS_INITIAL 0x2000

  .section .text.start, "ax"
  .globl _start
_start:
  csrw mie, zero
  la t0, trap
  csrw mtvec, t0
  li t0, MSTATUS_FS_INITIAL
  csrs mstatus, t0
  li sp, CONTROL_STACK_TOP
  call control_main

/*
 * Nothing here takes interrupts as traps (mstatus.MIE stays clear): a trap is a defect, and the stack may be part of it. But a
 * guarded load that the memory cannot answer ends its function, which returns the address.
 */
  .balign 4
trap:
  csrr t0, mepc
  la t1, guarded_loads
  bltu t0, t1, 1f
  la t1, guarded_loads_end
  bgeu t0, t1, 1f
  csrr a0, mtval
  ret
1:
  li sp, CONTROL_STACK_TOP
  csrr a0, mcause
  csrr a1, mepc
  csrr a2, mtval
  call control_panic
2:
  csrw mie, zero
  wfi
  j 2b
