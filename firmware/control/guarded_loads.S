/* Loads of device memory that the trap handler (start.S) takes out of where LPDDR has lost a word. */
  .file "guarded_loads.S"

  .text
  .globl guarded_loads, guarded_loads_end, guarded_read, guarded_check
guarded_loads:

/* guarded_read(to, address, words): 0, or the address of the lost word. Four words a turn: graphs are read so while they run. */
guarded_read:
  andi t4, a2, 3
  sub t5, a2, t4
  slli t5, t5, 3
  add t5, t5, a1
  bgeu a1, t5, 2f
1:
  ld t0, 0(a1)
  ld t1, 8(a1)
  ld t2, 16(a1)
  ld t3, 24(a1)
  sd t0, 0(a0)
  sd t1, 8(a0)
  sd t2, 16(a0)
  sd t3, 24(a0)
  addi a1, a1, 32
  addi a0, a0, 32
  bltu a1, t5, 1b
2:
  beqz t4, 4f
3:
  ld t0, 0(a1)
  sd t0, 0(a0)
  addi a1, a1, 8
  addi a0, a0, 8
  addi t4, t4, -1
  bnez t4, 3b
4:
  li a0, 0
  ret

/* guarded_check(address, words): the same without a copy. */
guarded_check:
  slli a1, a1, 3
  add a1, a1, a0
  bgeu a0, a1, 2f
1:
  ld t0, 0(a0)
  addi a0, a0, 8
  bltu a0, a1, 1b
2:
  li a0, 0
  ret
guarded_loads_end:
