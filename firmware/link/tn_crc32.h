/* CRC-32 as zlib, Ethernet and PNG compute it (reflected polynomial 0xEDB88320). */
#ifndef TN_CRC32_H
#define TN_CRC32_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Continue `crc` (0 to begin) over `count` bytes; tn_crc32(tn_crc32(0, a), b) is the CRC of a then b. */
uint32_t tn_crc32(uint32_t crc, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
