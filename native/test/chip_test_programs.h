/* Machine code that chip_test*.c run, so that the chip's tests need no toolchain and no firmware. */
#ifndef MTIA_CHIP_TEST_PROGRAMS_H
#define MTIA_CHIP_TEST_PROGRAMS_H
#include <stdint.h>

/*
 * Control hart: executes the script at SCRIPT_ADDRESS (struct step, chip_test.h), then writes its token to
 * MAILBOX.BOOT_STATUS and sleeps.
 */
static const uint32_t script_program[] = {
  0x10010437, /* lui s0,0x10010 */
  /* loop: */
  0x00043283, /* ld t0,0(s0) */
  0x00843303, /* ld t1,8(s0) */
  0x01043383, /* ld t2,16(s0) */
  0x01843e03, /* ld t3,24(s0) */
  0x06028c63, /* beqz t0,end */
  0xfff28e93, /* add t4,t0,-1 */
  0x040e8263, /* beqz t4,w32 */
  0xffe28e93, /* add t4,t0,-2 */
  0x040e8263, /* beqz t4,w64 */
  0xffd28e93, /* add t4,t0,-3 */
  0x040e8263, /* beqz t4,r32 */
  0xffc28e93, /* add t4,t0,-4 */
  0x040e8463, /* beqz t4,r64 */
  0xffb28e93, /* add t4,t0,-5 */
  0x000e8a63, /* beqz t4,p32 */
  /* p64: */
  0x00033e83, /* ld t4,0(t1) */
  0x01cefeb3, /* and t4,t4,t3 */
  0xfe7e9ce3, /* bne t4,t2,p64 */
  0x0380006f, /* j next */
  /* p32: */
  0x00036e83, /* lwu t4,0(t1) */
  0x01cefeb3, /* and t4,t4,t3 */
  0xfe7e9ce3, /* bne t4,t2,p32 */
  0x0280006f, /* j next */
  /* w32: */
  0x00732023, /* sw t2,0(t1) */
  0x0200006f, /* j next */
  /* w64: */
  0x00733023, /* sd t2,0(t1) */
  0x0180006f, /* j next */
  /* r32: */
  0x00036e83, /* lwu t4,0(t1) */
  0x01d43823, /* sd t4,16(s0) */
  0x00c0006f, /* j next */
  /* r64: */
  0x00033e83, /* ld t4,0(t1) */
  0x01d43823, /* sd t4,16(s0) */
  /* next: */
  0x02040413, /* add s0,s0,32 */
  0xf7dff06f, /* j loop */
  /* end: */
  0x20030337, /* lui t1,0x20030 */
  0x02732023, /* sw t2,32(t1) */
  /* sleep: */
  0x10500073, /* wfi */
  0xffdff06f, /* j sleep */
};

/*
 * PE monitor. What a job does is its first argument: 0 = reports success, 1 = loops for ever, 2 = waits for ever, anything
 * else = reports that as its error, with cause 0x77.
 */
static const uint32_t monitor_program[] = {
  0xf14022f3, /* csrr t0,mhartid */
  0x00029c63, /* bnez t0,sleep */
  0x000012b7, /* lui t0,0x1 */
  0x8002829b, /* addw t0,t0,-2048 */
  0x30429073, /* csrw mie,t0 */
  0x09000437, /* lui s0,0x9000 */
  0x080004b7, /* lui s1,0x8000 */
  /* sleep: */
  0x10500073, /* wfi */
  0xf14022f3, /* csrr t0,mhartid */
  0xfe029ce3, /* bnez t0,sleep */
  0x00c42303, /* lw t1,12(s0) */
  0xfe0308e3, /* beqz t1,sleep */
  0x0404b383, /* ld t2,64(s1) */
  0x02038663, /* beqz t2,report */
  0xfff38e13, /* add t3,t2,-1 */
  0x020e0663, /* beqz t3,forever */
  0xffe38e13, /* add t3,t2,-2 */
  0x020e0463, /* beqz t3,blocked */
  0xf1402ef3, /* csrr t4,mhartid */
  0x03d42023, /* sw t4,32(s0) */
  0x07700e93, /* li t4,119 */
  0x03d43423, /* sd t4,40(s0) */
  0x00743c23, /* sd t2,24(s0) */
  0xfc1ff06f, /* j sleep */
  /* report: */
  0x00043c23, /* sd zero,24(s0) */
  0xfb9ff06f, /* j sleep */
  /* forever: */
  0x0000006f, /* j forever */
  /* blocked: */
  0x30401073, /* csrw mie,zero */
  /* asleep: */
  0x10500073, /* wfi */
  0xffdff06f, /* j asleep */
};

#endif
