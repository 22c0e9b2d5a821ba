/* MEAN for the DSP extension: four neighbouring outputs at a time; lanes of 16 bits hold TN_BYTE_SUMS_MOST codes. */
#ifndef TN_MEAN_S8_DSP_H
#define TN_MEAN_S8_DSP_H

#include "tn_bytes_dsp.h"
#include "tn_reduce_s8.h"

#ifdef __cplusplus
extern "C" {
#endif

/* size[2] is a multiple of 4, stride[2] is 1. */
typedef tn_reduce_s8 tn_mean_s8_dsp;

/* Codes of a slice that are added one by one to sums of 32 bits; more are summed up in lanes first. */
#define TN_MEAN_FEW 4u

TN_INLINE int8_t tn_mean_store(const tn_mean_s8_dsp *p, int32_t sum)
{
    return tn_store_s8(tn_requantize(sum + p->offset, p->multiplier, p->shift), &p->output);
}

/* Codes that every output is the mean of, in this tensor or slice. */
TN_INLINE uint32_t tn_mean_count(const tn_mean_s8_dsp *p)
{
    return p->reduced_size[0] * p->reduced_size[1] * p->reduced_size[2];
}

/* Add four codes to sums of 32 bits. */
TN_INLINE void tn_mean_add4(int32_t *sums, const int8_t *x)
{
#if TN_HAS_DSP_BLOCKS
    __asm__ volatile("ldmia %[sums], {r4, r5, r6, r8}\n\t"
                     "ldr r12, [%[x]]\n\t"
                     "sxtab r4, r4, r12\n\t"
                     "sxtab r5, r5, r12, ror #8\n\t"
                     "sxtab r6, r6, r12, ror #16\n\t"
                     "sxtab r8, r8, r12, ror #24\n\t"
                     "stmia %[sums], {r4, r5, r6, r8}"
                     :
                     : [sums] "r"(sums), [x] "r"(x)
                     : "r4", "r5", "r6", "r8", "r12", "memory");
#else
    for (int n = 0; n < 4; ++n) {
        sums[n] += x[n];
    }
#endif
}

TN_INLINE void tn_mean_flush(tn_byte_sums *sums, int32_t *four)
{
    four[0] += tn_low_lane(sums->even);
    four[1] += tn_low_lane(sums->odd);
    four[2] += tn_high_lane(sums->even);
    four[3] += tn_high_lane(sums->odd);
    sums->even = 0;
    sums->odd = 0;
}

/* The sums of four neighbouring outputs over any number of codes. */
TN_INLINE void tn_mean_many(const tn_mean_s8_dsp *p, const int8_t *in, int32_t *four)
{
    tn_byte_sums sums = {0, 0};
    uint32_t held = 0;
    (void)memset(four, 0, 4u * sizeof *four);
    for (uint32_t i = 0; i < p->reduced_size[0]; ++i) {
        for (uint32_t j = 0; j < p->reduced_size[1]; ++j) {
            const int8_t *x = in + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            uint32_t left = p->reduced_size[2];
            while (left > 0u) {
                const uint32_t room = TN_BYTE_SUMS_MOST - held;
                const uint32_t count = left < room ? left : room;
                for (uint32_t k = 0; k < count; ++k, x += p->reduced_stride[2]) {
                    tn_sum4(&sums, tn_load4(x));
                }
                left -= count;
                held += count;
                if (held == TN_BYTE_SUMS_MOST) {
                    tn_mean_flush(&sums, four);
                    held = 0;
                }
            }
        }
    }
    tn_mean_flush(&sums, four);
}

TN_INLINE tn_byte_sums tn_mean_total(const tn_mean_s8_dsp *p, const int8_t *in)
{
    tn_byte_sums sums = {0, 0};
    for (uint32_t i = 0; i < p->reduced_size[0]; ++i) {
        for (uint32_t j = 0; j < p->reduced_size[1]; ++j) {
            const int8_t *x = in + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            for (uint32_t k = 0; k < p->reduced_size[2]; ++k, x += p->reduced_stride[2]) {
                tn_sum4(&sums, tn_load4(x));
            }
        }
    }
    return sums;
}

/* The sums of four neighbouring outputs. */
TN_INLINE void tn_mean_four(const tn_mean_s8_dsp *p, const int8_t *in, int32_t *four)
{
    if (tn_mean_count(p) > TN_BYTE_SUMS_MOST) {
        tn_mean_many(p, in, four);
        return;
    }
    const tn_byte_sums sums = tn_mean_total(p, in);
    four[0] = tn_low_lane(sums.even);
    four[1] = tn_low_lane(sums.odd);
    four[2] = tn_high_lane(sums.even);
    four[3] = tn_high_lane(sums.odd);
}

/* Add a slice of few codes for each output to sums of 32 bits. */
TN_INLINE void tn_mean_add_codes(const tn_mean_s8_dsp *p, const int8_t *slice, int32_t *sums)
{
    for (uint32_t i = 0; i < p->reduced_size[0]; ++i) {
        for (uint32_t j = 0; j < p->reduced_size[1]; ++j) {
            const int8_t *x = slice + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            for (uint32_t k = 0; k < p->reduced_size[2]; ++k, x += p->reduced_stride[2]) {
                tn_mean_add4(sums, x);
            }
        }
    }
}

TN_INLINE void tn_mean_s8_dsp_run(const tn_mean_s8_dsp *p, const int8_t *in, int8_t *out)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            const int8_t *x = in + i * p->stride[0] + j * p->stride[1];
            for (uint32_t k = 0; k < p->size[2]; k += 4, out += 4) {
                int32_t four[4];
                tn_mean_four(p, x + k, four);
                out[0] = tn_mean_store(p, four[0]);
                out[1] = tn_mean_store(p, four[1]);
                out[2] = tn_mean_store(p, four[2]);
                out[3] = tn_mean_store(p, four[3]);
            }
        }
    }
}

/* As tn_mean_s8_add. */
TN_INLINE void tn_mean_s8_dsp_add(const tn_mean_s8_dsp *p, const int8_t *slice, int32_t *sums, unsigned y)
{
    if (y == 0u) {
        (void)memset(sums, 0, sizeof *sums * p->size[0] * p->size[1] * p->size[2]);
    }
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            const int8_t *x = slice + i * p->stride[0] + j * p->stride[1];
            for (uint32_t k = 0; k < p->size[2]; k += 4, sums += 4) {
                int32_t four[4];
                if (tn_mean_count(p) <= TN_MEAN_FEW) {
                    tn_mean_add_codes(p, x + k, sums);
                    continue;
                }
                tn_mean_four(p, x + k, four);
                for (int n = 0; n < 4; ++n) {
                    sums[n] += four[n];
                }
            }
        }
    }
}

/* As tn_mean_s8_add_few. */
TN_INLINE void tn_mean_s8_dsp_few(const tn_mean_s8_dsp *p, const int8_t *slice, int8_t *sums, unsigned y)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            const int8_t *x = slice + i * p->stride[0] + j * p->stride[1];
            for (uint32_t k = 0; k < p->size[2]; k += 4) {
                int32_t four[4];
                tn_mean_four(p, x + k, four);
                for (int n = 0; n < 4; ++n, sums += 2) {
                    tn_store_16(sums, y == 0 ? four[n] : tn_load_16(sums) + four[n]);
                }
            }
        }
    }
}

#ifdef __cplusplus
}
#endif
#endif
