/** Memory of random programs: values that make integers and floating point interesting. */
import { DATA_BYTES } from './hart-encode.js';
import { pick, type Random } from './random.js';

/** Doublewords that make floating point and integers interesting: limits, singles in boxes, NaNs, near powers of two. */
export function randomData(random: Random): Buffer {
  const data = Buffer.alloc(DATA_BYTES);
  const special = [
    0n,
    1n,
    0x7ff0000000000000n,
    0x7ff8000000000000n,
    0x7ff0000000000001n,
    0x0010000000000000n,
    0x000fffffffffffffn,
    0x3ff0000000000000n,
    0x7fefffffffffffffn,
    0x41dfffffffc00000n,
    0x43e0000000000000n,
    0x3fe0000000000000n,
    0x7fffffffn,
    0x7fffffffffffffffn,
    0xffffffffffffffffn,
  ];
  const specialSingle = [
    0, 1, 0x7f800000, 0x7fc00000, 0x7f800001, 0x00800000, 0x007fffff, 0x3f800000, 0x7f7fffff, 0x4f000000, 0x5f000000,
    0x3f000000,
  ];
  for (let at = 0; at < DATA_BYTES; at += 8) {
    const bits = (BigInt(random(65536)) << 48n) | (BigInt(random(0x1000000)) << 24n) | BigInt(random(0x1000000));
    const sign = BigInt(random(2)) << 63n;
    const boxed = 0xffffffff00000000n;
    // Exponents near each other, so that sums cancel and products stay in range.
    const close = 0x3ff0000000000000n + (BigInt(random(9) - 4) << 52n);
    const choices = [
      bits,
      sign | pick(random, special),
      sign | close | (bits & 0xfffffffffffffn),
      boxed | BigInt(pick(random, specialSingle)) | (sign >> 32n),
      boxed | (bits & 0xffffffffn),
      boxed | BigInt(0x3f000000 + random(0x2000000)) | (sign >> 32n),
      close | (bits & 0xf000000000000n),
    ];
    data.writeBigUInt64LE(pick(random, choices), at);
  }
  return data;
}

/** Values where rules meet: ties, carries into the next binade, the borders of subnormal and of integer ranges. */
export function cornerData(random: Random): Buffer {
  const corners = [
    0n,
    1n,
    2n,
    0x000fffffffffffffn,
    0x0010000000000000n,
    0x0010000000000001n,
    0x001fffffffffffffn,
    0x1fefffffffffffffn,
    0x1ff0000000000000n,
    0x1ff0000000000001n,
    0x2000000000000000n,
    0x3c90000000000000n,
    0x3ca0000000000000n,
    0x3cb0000000000000n,
    0x3fe0000000000000n,
    0x3fefffffffffffffn,
    0x3ff0000000000000n,
    0x3ff0000000000001n,
    0x3ff8000000000000n,
    0x3fffffffffffffffn,
    0x3ff0000010000000n,
    0x3ff0000030000000n,
    0x380fffffffffffffn,
    0x380fffffe0000000n,
    0x36a0000000000000n,
    0x3690000000000000n,
    0x47efffffe0000000n,
    0x47effffff0000000n,
    0x4004000000000000n,
    0x400c000000000000n,
    0x41dfffffffe00000n,
    0x41efffffffe00000n,
    0x41e0000000000000n,
    0xc1e0000000100000n,
    0x43dfffffffffffffn,
    0x43e0000000000000n,
    0x43f0000000000000n,
    0x7fefffffffffffffn,
    0x7ff0000000000000n,
    0x7ff0000000000001n,
    0x7ff8000000000000n,
  ];
  const singles = [
    0, 1, 0x007fffff, 0x00800000, 0x00800001, 0x00ffffff, 0x1fffffff, 0x20000000, 0x20000001, 0x33000000, 0x33800000,
    0x34000000, 0x3f000000, 0x3f7fffff, 0x3f800000, 0x3f800001, 0x3fc00000, 0x3fffffff, 0x40200000, 0x40600000,
    0x4effffff, 0x4f000000, 0x4f7fffff, 0x5f000000, 0x5f7fffff, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000,
  ];
  const data = Buffer.alloc(DATA_BYTES);
  for (let at = 0; at < DATA_BYTES; at += 8) {
    const negative = random(2) === 0;
    const double = pick(random, corners) ^ (negative ? 1n << 63n : 0n);
    const single = 0xffffffff00000000n | BigInt((pick(random, singles) ^ (negative ? 0x80000000 : 0)) >>> 0);
    data.writeBigUInt64LE(random(2) === 0 ? double : single, at);
  }
  return data;
}
