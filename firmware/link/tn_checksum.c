#include "tn_checksum.h"

/* Odd constants of good avalanche (golden ratio; xxHash; the "lowbias" search of C. Wellons). */
static uint32_t hash32(uint32_t position, uint32_t byte)
{
    uint32_t hash = position * 0x9E3779B1u + (byte + 1u) * 0x85EBCA77u;
    hash ^= hash >> 15;
    hash *= 0x2C1B3C6Du;
    return hash ^ hash >> 12;
}

uint32_t tn_checksum(const void *bytes, size_t count, uint32_t first)
{
    const uint8_t *at = (const uint8_t *)bytes;
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += hash32(first + (uint32_t)i, at[i]);
    }
    return sum;
}
