/* AVERAGE_POOL_2D for the DSP extension: four channels at a time, channels a multiple of 4, windows of up to
 * TN_BYTE_SUMS_MOST codes. */
#ifndef TN_AVERAGE_POOL2D_S8_DSP_H
#define TN_AVERAGE_POOL2D_S8_DSP_H

#include "tn_bytes_dsp.h"
#include "tn_pool2d_s8.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef tn_pool2d_s8 tn_average_pool2d_s8_dsp;

/* Half away from zero, clamped. */
TN_INLINE int8_t tn_average_pool2d_mean(const tn_average_pool2d_s8_dsp *p, int32_t sum, int32_t count)
{
    const int32_t rounded = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
    return (int8_t)tn_clamp(rounded, p->min, p->max);
}

/* Four channels of one pixel, whose window spans columns from `first` to before `end`. */
TN_INLINE void tn_average_pool2d_four(const tn_average_pool2d_s8_dsp *p, const int8_t *const *rows, int first, int end,
                                      int channel, int8_t *out)
{
    tn_byte_sums sums = {0, 0};
    int32_t count = 0;
    for (int r = 0; r < p->rows.kernel; ++r) {
        if (rows[r] != NULL) {
            const int8_t *x = rows[r] + first * p->channels + channel;
            for (int col = first; col < end; ++col, x += p->channels) {
                tn_sum4(&sums, tn_load4(x));
            }
            count += end - first;
        }
    }
    out[0] = tn_average_pool2d_mean(p, tn_low_lane(sums.even), count);
    out[1] = tn_average_pool2d_mean(p, tn_low_lane(sums.odd), count);
    out[2] = tn_average_pool2d_mean(p, tn_high_lane(sums.even), count);
    out[3] = tn_average_pool2d_mean(p, tn_high_lane(sums.odd), count);
}

/* The codes halfway between those of two words, half away from zero. */
TN_INLINE uint32_t tn_average_pool2d_halfway(uint32_t a, uint32_t b)
{
#if TN_HAS_DSP
    /* Rounded down; one more where the sum is odd and positive. */
    const uint32_t down = (uint32_t)__shadd8((int8x4_t)a, (int8x4_t)b);
    return down + ((a ^ b) & 0x01010101u & ~(down >> 7));
#else
    uint32_t codes = 0;
    for (int bits = 0; bits < 32; bits += 8) {
        const int32_t sum = (int8_t)(uint8_t)(a >> bits & 0xffu) + (int8_t)(uint8_t)(b >> bits & 0xffu);
        codes |= ((uint32_t)((sum + (sum > 0 ? 1 : -1)) / 2) & 0xffu) << bits;
    }
    return codes;
#endif
}

/* Whether every window covers two codes and no more, and no code is clamped. */
TN_INLINE int tn_average_pool2d_is_halfway(const tn_average_pool2d_s8_dsp *p)
{
    return p->rows.kernel * p->cols.kernel == 2 && p->min == INT8_MIN && p->max == INT8_MAX;
}

/* As tn_average_pool2d_four for a window inside the input, with a number of codes that is a constant. */
TN_INLINE void tn_average_pool2d_inner(const tn_average_pool2d_s8_dsp *p, const int8_t *const *rows, int first,
                                       int channel, int8_t *out)
{
    const int at = first * p->channels + channel;
    if (tn_average_pool2d_is_halfway(p) != 0) {
        const int8_t *const second = p->rows.kernel == 2 ? rows[1] + at : rows[0] + at + p->channels;
        tn_store4(out, tn_average_pool2d_halfway(tn_load4(rows[0] + at), tn_load4(second)));
        return;
    }
    tn_byte_sums sums = {0, 0};
    for (int r = 0; r < p->rows.kernel; ++r) {
        const int8_t *x = rows[r] + at;
        for (int col = 0; col < p->cols.kernel; ++col, x += p->channels) {
            tn_sum4(&sums, tn_load4(x));
        }
    }
    const int32_t count = p->rows.kernel * p->cols.kernel;
    out[0] = tn_average_pool2d_mean(p, tn_low_lane(sums.even), count);
    out[1] = tn_average_pool2d_mean(p, tn_low_lane(sums.odd), count);
    out[2] = tn_average_pool2d_mean(p, tn_high_lane(sums.even), count);
    out[3] = tn_average_pool2d_mean(p, tn_high_lane(sums.odd), count);
}

/* Output row; arguments as for tn_average_pool2d_s8_row, which may lie over the input under the same conditions: all
 * codes under four outputs are read before they are written. */
TN_INLINE void tn_average_pool2d_s8_dsp_row(const tn_average_pool2d_s8_dsp *p, const int8_t *const *rows, int8_t *out)
{
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride) {
        if (tn_axis_inside(&p->rows) != 0 && left >= 0 && left + p->cols.kernel <= p->cols.in) {
            for (int channel = 0; channel < p->channels; channel += 4, out += 4) {
                tn_average_pool2d_inner(p, rows, left, channel, out);
            }
            continue;
        }
        const int first = left < 0 ? 0 : left;
        const int end = left + p->cols.kernel < p->cols.in ? left + p->cols.kernel : p->cols.in;
        for (int channel = 0; channel < p->channels; channel += 4, out += 4) {
            tn_average_pool2d_four(p, rows, first, end, channel, out);
        }
    }
}

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_average_pool2d_s8_dsp_run(const tn_average_pool2d_s8_dsp *p, const int8_t **rows, const int8_t *in,
                                            int8_t *out)
{
    for (int y = 0; y < p->rows.out; ++y, out += (size_t)p->cols.out * p->channels) {
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->channels, y, rows);
        tn_average_pool2d_s8_dsp_row(p, rows, out);
    }
}

#ifdef __cplusplus
}
#endif
#endif
