/* Four codes of one word for the DSP extension: the larger of two, and sums in 16-bit lanes. */
#ifndef TN_BYTES_DSP_H
#define TN_BYTES_DSP_H

#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sums of four codes each; lanes hold up to 256 of them. */
typedef struct {
    uint32_t even; /* of codes 0 and 2 */
    uint32_t odd;  /* of codes 1 and 3 */
} tn_byte_sums;
#define TN_BYTE_SUMS_MOST 256

TN_INLINE void tn_store4(int8_t *x, uint32_t codes)
{
    (void)memcpy(x, &codes, sizeof codes);
}

/* The larger of both, code by code. */
TN_INLINE uint32_t tn_larger4(uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    uint32_t larger; /* one block: flags of the subtraction choose */
    __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(larger) : "r"(a), "r"(b));
    return larger;
#else
    uint32_t larger = 0;
    for (int bits = 0; bits < 32; bits += 8) {
        const int32_t code = tn_larger((int8_t)(uint8_t)(a >> bits & 0xffu), (int8_t)(uint8_t)(b >> bits & 0xffu));
        larger |= ((uint32_t)code & 0xffu) << bits;
    }
    return larger;
#endif
}

TN_INLINE void tn_sum4(tn_byte_sums *sums, uint32_t codes)
{
#if TN_HAS_DSP
    __asm__("sxtab16 %0, %0, %1" : "+r"(sums->even) : "r"(codes));
    __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(sums->odd) : "r"(codes));
#else
    const uint32_t even = tn_even_bytes(codes);
    const uint32_t odd = tn_odd_bytes(codes);
    sums->even = tn_lanes(tn_low_lane(sums->even) + tn_low_lane(even), tn_high_lane(sums->even) + tn_high_lane(even));
    sums->odd = tn_lanes(tn_low_lane(sums->odd) + tn_low_lane(odd), tn_high_lane(sums->odd) + tn_high_lane(odd));
#endif
}

#ifdef __cplusplus
}
#endif
#endif
