/* Reset vector of every PE hart, and its trap vector. */
#include "memory_layout.h"

/* Otherwise the symbol table names the assembler's temporary file, which differs from build to build. */
  .file "start.S"

#define MSTATUS_FS_INITIAL 0x2000

/* A stack that nothing on it is needed of any more: t0 = hart. */
  .macro fresh_stack
  csrr t0, mhartid
  andi t0, t0, 1
  li sp, PE_STACK_TOP
  li t1, PE_STACK_BYTES
  mul t1, t1, t0
  sub sp, sp, t1
  .endm

  .section .text.start, "ax"
  .globl _start
_start:
  csrw mie, zero
  la t0, trap
  csrw mtvec, t0
  li t0, MSTATUS_FS_INITIAL
  csrs mstatus, t0
  fresh_stack
  bnez t0, 1f
  call first_hart
1:
  call second_hart

/* The hart never goes back to what trapped, so the trap handler may start where the stack starts: it cannot overflow again. */
  .balign 4
trap:
  fresh_stack
  csrr a0, mcause
  csrr a1, mepc
  csrr a2, mtval
  call monitor_trap

/* monitor_park(): until the control firmware resets the PE. */
  .globl monitor_park
monitor_park:
  csrw mie, zero
1:
  wfi
  j 1b
