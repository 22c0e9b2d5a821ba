/* DEPTHWISE_CONV_2D for the vector extension: lanes are four output channels, and two pixels share their weights. */
#ifndef TN_DEPTHWISE_CONV2D_S8_MVE_H
#define TN_DEPTHWISE_CONV2D_S8_MVE_H

#include "tn_mve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    tn_axis rows;
    tn_axis cols;
    uint16_t in_channels;
    uint16_t channels;       /* of the output */
    int8_t in_zero_point;    /* the value that padding has */
    tn_mve_scaling scaling;
    const int8_t *weights;   /* [fours of channels][rows.kernel][cols.kernel][4], padded with zeros */
    const int32_t *constants; /* [fours of channels][TN_MVE_CONSTANTS] */
    const uint32_t *sources; /* input channel per output channel, padded to fours; NULL when they are the same */
} tn_depthwise_conv2d_s8_mve;

/* Point `taps` at the first channel under each tap of the window that begins at column `left`. */
TN_INLINE void tn_depthwise_mve_taps(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows, int left,
                                     const int8_t *padding, const int8_t **taps)
{
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    const int height = (p->rows.kernel - 1) * p->rows.dilation;
    const int narrow = p->cols.pad == 0 && (p->cols.out - 1) * p->cols.stride + reach < p->cols.in;
    const int low = p->rows.pad == 0 && (p->rows.out - 1) * p->rows.stride + height < p->rows.in;
    for (int r = 0; r < p->rows.kernel; ++r) {
        const int8_t *const row = rows[r];
        int col = left;
        for (int i = 0; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int inside = (low || row != NULL) && (narrow || (col >= 0 && col < p->cols.in));
            *taps++ = inside ? row + col * p->in_channels : padding;
        }
    }
}

TN_INLINE tn_words tn_depthwise_mve_codes(const tn_depthwise_conv2d_s8_mve *p, const int8_t *x, int channel, int count)
{
    if (p->sources != NULL) {
        return tn_words_gather_codes(x, p->sources + channel);
    }
    return count >= 4 ? tn_words_load_codes(x + channel) : tn_words_load_first(x + channel, count);
}

/* All channels of one or two pixels. */
TN_INLINE void tn_depthwise_mve_pixels(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *first,
                                       const int8_t *const *second, int pixels, int8_t *out)
{
    const int taps = p->rows.kernel * p->cols.kernel;
    const int8_t *w = p->weights;
    const int32_t *constants = p->constants;
    for (int channel = 0; channel < p->channels; channel += 4, constants += TN_MVE_CONSTANTS) {
        const int count = p->channels % 4 == 0 ? 4 : p->channels - channel;
        tn_words sum = tn_words_load(constants);
        tn_words other = sum;
        TN_UNROLL(9)
        for (int tap = 0; tap < taps; ++tap, w += 4) {
            const tn_words v = tn_words_load_codes(w);
            sum = tn_words_add(sum, tn_words_multiply(tn_depthwise_mve_codes(p, first[tap], channel, count), v));
            if (pixels == 2) {
                const tn_words x = tn_depthwise_mve_codes(p, second[tap], channel, count);
                other = tn_words_add(other, tn_words_multiply(x, v));
            }
        }
        tn_mve_store(out + channel, tn_mve_scale(&p->scaling, sum, constants), count);
        if (pixels == 2) {
            tn_mve_store(out + p->channels + channel, tn_mve_scale(&p->scaling, other, constants), count);
        }
    }
}

/* Output row; arguments as for tn_depthwise_conv2d_s8_row.
 * scratch: in_channels codes. taps: scratch for 2 * rows.kernel * cols.kernel pointers. */
TN_INLINE void tn_depthwise_conv2d_s8_mve_row(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows,
                                              int8_t *out, int8_t *scratch, const int8_t **taps)
{
    const int8_t **const second = taps + p->rows.kernel * p->cols.kernel;
    int left = -(int)p->cols.pad;
    tn_mve_fill(scratch, p->in_zero_point, p->in_channels);
    for (int x = 0; x < p->cols.out; x += 2, left += 2 * p->cols.stride, out += 2 * p->channels) {
        tn_depthwise_mve_taps(p, rows, left, scratch, taps);
        if (p->cols.out % 2 == 0 || x + 1 < p->cols.out) {
            tn_depthwise_mve_taps(p, rows, left + p->cols.stride, scratch, second);
            tn_depthwise_mve_pixels(p, taps, second, 2, out);
        } else {
            tn_depthwise_mve_pixels(p, taps, taps, 1, out);
        }
    }
}

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_depthwise_conv2d_s8_mve_run(const tn_depthwise_conv2d_s8_mve *p, const int8_t **rows,
                                              const int8_t *in, int8_t *out, int8_t *scratch, const int8_t **taps)
{
    for (int y = 0; y < p->rows.out; ++y, out += (size_t)p->cols.out * p->channels) {
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, y, rows);
        tn_depthwise_conv2d_s8_mve_row(p, rows, out, scratch, taps);
    }
}

#ifdef __cplusplus
}
#endif
#endif
