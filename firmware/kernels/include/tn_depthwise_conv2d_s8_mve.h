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

#define TN_MVE_TALL 8 /* rows of a window that is walked by pointers in registers */

TN_INLINE tn_words tn_depthwise_mve_codes(const tn_depthwise_conv2d_s8_mve *p, const int8_t *x, int channel, int count)
{
    if (p->sources != NULL) {
        return tn_words_gather_codes(x, p->sources + channel);
    }
    return count >= 4 ? tn_words_load_codes(x + channel) : tn_words_load_first(x + channel, count);
}

/* The pixel whose window begins at column `left`; padding: in_channels codes that stand for what lies outside. */
TN_INLINE void tn_depthwise_mve_border(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows, int left,
                                       int8_t *out, const int8_t *padding, const int8_t **taps)
{
    const int count = p->rows.kernel * p->cols.kernel;
    const int8_t *w = p->weights;
    const int32_t *constants = p->constants;
    for (int r = 0; r < p->rows.kernel; ++r) {
        const int8_t *const row = rows[r];
        int col = left;
        for (int i = 0; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int inside = row != NULL && col >= 0 && col < p->cols.in;
            taps[r * p->cols.kernel + i] = inside ? row + col * p->in_channels : padding;
        }
    }
    for (int channel = 0; channel < p->channels; channel += 4, constants += TN_MVE_CONSTANTS) {
        const int lanes = p->channels % 4 == 0 ? 4 : p->channels - channel;
        tn_words sum = tn_words_load(constants);
        TN_UNROLL(9)
        for (int tap = 0; tap < count; ++tap, w += 4) {
            const tn_words x = tn_depthwise_mve_codes(p, taps[tap], channel, lanes);
            sum = tn_words_add(sum, tn_words_multiply(x, tn_words_load_codes(w)));
        }
        tn_mve_store(out + channel, tn_mve_scale(&p->scaling, sum, constants), lanes);
    }
}

/* `pairs` times two pixels whose windows lie inside the input; the first window begins at column `left`. */
TN_INLINE void tn_depthwise_mve_inside(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows, int left,
                                       int pairs, int8_t *out)
{
    const int next = p->cols.stride * p->in_channels;
    const int8_t *w = p->weights;
    const int32_t *constants = p->constants;
    for (int channel = 0; channel < p->channels; channel += 4, constants += TN_MVE_CONSTANTS) {
        const int lanes = p->channels % 4 == 0 ? 4 : p->channels - channel;
        const tn_words bias = tn_words_load(constants);
        const int8_t *x[TN_MVE_TALL];
        int8_t *to = out + channel;
        TN_UNROLL(8)
        for (int r = 0; r < p->rows.kernel; ++r) {
            x[r] = rows[r] + left * p->in_channels;
        }
        for (int i = 0; i < pairs; ++i, to += 2 * p->channels) {
            tn_words sum = bias;
            tn_words other = bias;
            TN_UNROLL(8)
            for (int r = 0; r < p->rows.kernel; ++r) {
                TN_UNROLL(8)
                for (int k = 0; k < p->cols.kernel; ++k) {
                    const tn_words v = tn_words_load_codes(w + 4 * (r * p->cols.kernel + k));
                    const int8_t *const first = x[r] + k * p->cols.dilation * p->in_channels;
                    const tn_words a = tn_depthwise_mve_codes(p, first, channel, lanes);
                    const tn_words b = tn_depthwise_mve_codes(p, first + next, channel, lanes);
                    sum = tn_words_add(sum, tn_words_multiply(a, v));
                    other = tn_words_add(other, tn_words_multiply(b, v));
                }
                x[r] += 2 * next;
            }
            tn_mve_store(to, tn_mve_scale(&p->scaling, sum, constants), lanes);
            tn_mve_store(to + p->channels, tn_mve_scale(&p->scaling, other, constants), lanes);
        }
        w += 4 * p->rows.kernel * p->cols.kernel;
    }
}

/* Output row; arguments as for tn_depthwise_conv2d_s8_row.
 * scratch: in_channels codes. taps: scratch for rows.kernel * cols.kernel pointers. */
TN_INLINE void tn_depthwise_conv2d_s8_mve_row(const tn_depthwise_conv2d_s8_mve *p, const int8_t *const *rows,
                                              int8_t *out, int8_t *scratch, const int8_t **taps)
{
    const int inside = p->rows.kernel <= TN_MVE_TALL && tn_mve_rows_inside(&p->rows, rows, p->rows.kernel, 1);
    const int pairs = (tn_mve_inside_end(&p->cols) - tn_mve_inside_first(&p->cols)) / 2;
    int x = 0;
    if (!(p->rows.kernel <= TN_MVE_TALL && tn_mve_unpadded(&p->rows) && 2 * pairs == p->cols.out)) {
        tn_mve_fill(scratch, p->in_zero_point, p->in_channels);
    }
    while (x < p->cols.out) {
        const int left = x * p->cols.stride - p->cols.pad;
        if (inside && pairs > 0 && x == tn_mve_inside_first(&p->cols)) {
            tn_depthwise_mve_inside(p, rows, left, pairs, out);
            x += 2 * pairs;
            out += 2 * pairs * p->channels;
        } else {
            tn_depthwise_mve_border(p, rows, left, out, scratch, taps);
            x += 1;
            out += p->channels;
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
