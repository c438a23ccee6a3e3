/* SHA-256 (FIPS 180-4). */
#ifndef MTIA_FIRMWARE_SHA256_H
#define MTIA_FIRMWARE_SHA256_H
#include <stdint.h>

#define SHA256_BYTES 32

void sha256(const uint8_t *data, uint64_t bytes, uint8_t digest[SHA256_BYTES]);

#endif
