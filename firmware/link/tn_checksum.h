/* Checksum of a tensor that does not depend on the order in which its elements are computed. */
#ifndef TN_CHECKSUM_H
#define TN_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sum, modulo 2^32, over the bytes of a tensor of a hash of (position, byte).
 * `first` is the position of bytes[0]: the checksum of a tensor is the sum over its pieces. */
uint32_t tn_checksum(const void *bytes, size_t count, uint32_t first);

#ifdef __cplusplus
}
#endif

#endif
