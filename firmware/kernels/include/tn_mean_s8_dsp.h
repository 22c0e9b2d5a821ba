/* MEAN for the DSP extension: four neighbouring outputs at a time, over up to TN_BYTE_SUMS_MOST codes each. */
#ifndef TN_MEAN_S8_DSP_H
#define TN_MEAN_S8_DSP_H

#include "tn_bytes_dsp.h"
#include "tn_reduce_s8.h"

#ifdef __cplusplus
extern "C" {
#endif

/* size[2] is a multiple of 4, stride[2] is 1. */
typedef tn_reduce_s8 tn_mean_s8_dsp;

TN_INLINE int8_t tn_mean_store(const tn_mean_s8_dsp *p, int32_t sum)
{
    return tn_store_s8(tn_requantize(sum + p->offset, p->multiplier, p->shift), &p->output);
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

TN_INLINE void tn_mean_s8_dsp_run(const tn_mean_s8_dsp *p, const int8_t *in, int8_t *out)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            const int8_t *x = in + i * p->stride[0] + j * p->stride[1];
            for (uint32_t k = 0; k < p->size[2]; k += 4, out += 4) {
                const tn_byte_sums sums = tn_mean_total(p, x + k);
                out[0] = tn_mean_store(p, tn_low_lane(sums.even));
                out[1] = tn_mean_store(p, tn_low_lane(sums.odd));
                out[2] = tn_mean_store(p, tn_high_lane(sums.even));
                out[3] = tn_mean_store(p, tn_high_lane(sums.odd));
            }
        }
    }
}

/* The sums of four neighbouring outputs over one slice. */
TN_INLINE void tn_mean_four(const tn_mean_s8_dsp *p, const int8_t *slice, int32_t *four)
{
    const tn_byte_sums sums = tn_mean_total(p, slice);
    four[0] = tn_low_lane(sums.even);
    four[1] = tn_low_lane(sums.odd);
    four[2] = tn_high_lane(sums.even);
    four[3] = tn_high_lane(sums.odd);
}

/* As tn_mean_s8_add. */
TN_INLINE void tn_mean_s8_dsp_add(const tn_mean_s8_dsp *p, const int8_t *slice, int32_t *sums, unsigned y)
{
    for (uint32_t i = 0; i < p->size[0]; ++i) {
        for (uint32_t j = 0; j < p->size[1]; ++j) {
            const int8_t *x = slice + i * p->stride[0] + j * p->stride[1];
            for (uint32_t k = 0; k < p->size[2]; k += 4, sums += 4) {
                int32_t four[4];
                tn_mean_four(p, x + k, four);
                for (int n = 0; n < 4; ++n) {
                    sums[n] = y == 0 ? four[n] : sums[n] + four[n];
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
