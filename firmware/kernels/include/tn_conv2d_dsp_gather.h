/* The codes under a pixel, gathered as 16-bit lanes. */
#ifndef TN_CONV2D_DSP_GATHER_H
#define TN_CONV2D_DSP_GATHER_H

#include "tn_conv2d_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Widen `count` codes, a multiple of 4, to lanes; each word of them `distance` words behind the last. */
TN_INLINE uint32_t *tn_conv2d_widen(const int8_t *x, int count, uint32_t *column, int distance)
{
    const int8_t *const end = x + (count & ~7);
    if ((count & 4) != 0) {
        const uint32_t word = tn_load4(end);
        uint32_t *const last = column + (count >> 1 & ~3) * distance;
        last[0] = tn_even_bytes(word);
        last[distance] = tn_odd_bytes(word);
    }
    for (; x != end; x += 8, column += 4 * distance) {
        const uint32_t first = tn_load4(x);
        const uint32_t second = tn_load4(x + 4);
        column[0] = tn_even_bytes(first);
        column[distance] = tn_odd_bytes(first);
        column[2 * distance] = tn_even_bytes(second);
        column[3 * distance] = tn_odd_bytes(second);
    }
    return (count & 4) != 0 ? column + 2 * distance : column;
}

TN_INLINE uint32_t *tn_conv2d_fill(const tn_conv2d_s8_dsp *p, int count, uint32_t *column, int distance)
{
    const uint32_t zeros = tn_lanes(p->in_zero_point, p->in_zero_point);
    for (int i = 0; i < count; i += 2, column += distance) {
        *column = zeros;
    }
    return column;
}

/* Gather a pixel whose channels are a multiple of 4: every run is widened where it lies. */
TN_INLINE void tn_conv2d_gather_words(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left,
                                      uint32_t *column, int distance)
{
    const int channels = p->in_channels;
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    for (int tap = 0; tap < p->taps; ++tap, rows += p->tap_distance) {
        const int8_t *row = *rows;
        if (tn_conv2d_rows_missing(p) != 0 && row == NULL) {
            column = tn_conv2d_fill(p, p->cols.kernel * channels, column, distance);
        } else if (p->cols.dilation == 1 && (tn_dsp_inside(&p->cols) || (left >= 0 && left + reach < p->cols.in))) {
            column = tn_conv2d_widen(row + left * channels, p->cols.kernel * channels, column, distance);
        } else {
            for (int i = 0, col = left; i < p->cols.kernel; ++i, col += p->cols.dilation) {
                column = col < 0 || col >= p->cols.in
                             ? tn_conv2d_fill(p, channels, column, distance)
                             : tn_conv2d_widen(row + col * channels, channels, column, distance);
            }
        }
    }
}

/* Gather a pixel of other channels: first its codes, one behind the other, in `codes`. */
TN_INLINE void tn_conv2d_gather_codes(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, int8_t *codes,
                                      uint32_t *column, int distance)
{
    const int channels = p->in_channels;
    const int run = p->cols.kernel * channels;
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    int8_t *to = codes;
    for (int tap = 0; tap < p->taps; ++tap, rows += p->tap_distance) {
        const int8_t *row = *rows;
        const int missing = tn_conv2d_rows_missing(p) != 0 && row == NULL;
        if (missing == 0 && p->cols.dilation == 1 &&
            (tn_dsp_inside(&p->cols) || (left >= 0 && left + reach < p->cols.in))) {
            (void)memcpy(to, row + left * channels, (size_t)run);
            to += run;
            continue;
        }
        for (int i = 0, col = left; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int8_t *from = missing != 0 || col < 0 || col >= p->cols.in ? NULL : row + col * channels;
            for (int c = 0; c < channels; ++c) {
                *to++ = from == NULL ? p->in_zero_point : from[c];
            }
        }
    }
    (void)tn_conv2d_widen(codes, p->depth, column, distance);
}

/* Gather everything under the pixel whose window begins at column `left`. codes: see tn_conv2d_s8_dsp_row. */
TN_INLINE void tn_conv2d_gather(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, uint32_t *column,
                                int distance, int8_t *codes)
{
    if (p->in_channels % 4 == 0) {
        tn_conv2d_gather_words(p, rows, left, column, distance);
    } else {
        tn_conv2d_gather_codes(p, rows, left, codes, column, distance);
    }
}

#ifdef __cplusplus
}
#endif
#endif
