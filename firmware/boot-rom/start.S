/* Reset vector of all control harts. The ROM has no data: its stack is the end of context SRAM. */
#include "memory_layout.h"

/* Otherwise the symbol table names the assembler's temporary file, which differs from build to build. */
  .file "start.S"

  .section .text.start, "ax"
  .globl _start
_start:
  csrw mie, zero
  csrw mstatus, zero
  la t0, trap
  csrw mtvec, t0
  csrr t0, mhartid
  bnez t0, park
  li sp, CONTROL_STACK_TOP
  call boot_rom_main

/* Harts that are not needed: woken by nothing, because mie is zero. */
  .globl park
park:
  csrw mie, zero
1:
  wfi
  j 1b

/* park is the way out of every trap as well: the stack may be what failed, so it starts afresh. */
  .balign 4
trap:
  li sp, CONTROL_STACK_TOP
  csrr a0, mcause
  csrr a1, mepc
  csrr a2, mtval
  call boot_rom_trap
  j park

/* boot_rom_jump(bundle address, bundle bytes, entry) */
  .globl boot_rom_jump
boot_rom_jump:
  fence.i
  csrw mie, zero
  jr a2
