/* CONV_2D with few codes under a filter, for the vector extension, alone or with a max-pooling of two behind it; also
 * DEPTHWISE_CONV_2D of one channel. Lanes are output channels: each code is multiplied with four weights at once. */
#ifndef TN_CONV2D_FEW_S8_MVE_H
#define TN_CONV2D_FEW_S8_MVE_H

#include "tn_conv2d_s8_mve.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TN_MVE_FEW 8 /* codes under a filter at most */

/* Fields as in tn_conv2d_s8_mve but for the weights: [fours of output channels][taps * cols.kernel * in_channels][4].
 */
typedef struct {
    tn_axis rows;
    tn_axis cols;
    uint16_t taps;
    uint16_t tap_distance;
    uint16_t row_distance;
    uint16_t conv_rows;
    uint16_t out_cols;
    uint16_t in_channels;
    uint16_t out_channels;
    uint8_t pool;
    int8_t in_zero_point;
    tn_mve_scaling scaling;
    const int8_t *weights;
    const int32_t *channels;
} tn_conv2d_few_s8_mve;

/* The codes under the pixel whose window begins at column `left`. */
TN_INLINE void tn_conv2d_few_codes(const tn_conv2d_few_s8_mve *p, const int8_t *const *rows, int left, int32_t *x)
{
    for (int tap = 0; tap < p->taps; ++tap) {
        const int8_t *const row = rows[tap * p->tap_distance];
        int col = left;
        for (int i = 0; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int inside = row != NULL && col >= 0 && col < p->cols.in;
            for (int c = 0; c < p->in_channels; ++c) {
                *x++ = inside ? row[col * p->in_channels + c] : p->in_zero_point;
            }
        }
    }
}

/* All channels of two pixels anywhere, or of the first alone unless `two`. */
TN_INLINE void tn_conv2d_few_border(const tn_conv2d_few_s8_mve *p, const int8_t *const *rows, int left, int two,
                                    int8_t *out)
{
    const int used = p->taps * p->cols.kernel * p->in_channels;
    const int8_t *w = p->weights;
    const int32_t *constants = p->channels;
    int32_t x[2][TN_MVE_FEW];
    tn_conv2d_few_codes(p, rows, left, x[0]);
    tn_conv2d_few_codes(p, two && p->pool == TN_MVE_POOL_ROWS ? rows + p->row_distance : rows,
                        two && p->pool != TN_MVE_POOL_ROWS ? left + p->cols.stride : left, x[1]);
    for (int oc = 0; oc < p->out_channels; oc += 4, constants += TN_MVE_CONSTANTS) {
        const int count = p->out_channels % 4 == 0 ? 4 : p->out_channels - oc;
        tn_words sum = tn_words_load(constants);
        tn_words other = sum;
        for (int i = 0; i < used; ++i, w += 4) {
            const tn_words v = tn_words_load_codes(w);
            sum = tn_words_multiply_add(sum, v, x[0][i]);
            other = tn_words_multiply_add(other, v, x[1][i]);
        }
        if (p->pool != TN_MVE_POOL_NONE) {
            sum = tn_words_max(sum, other);
        } else if (two) {
            tn_mve_store(out + p->out_channels + oc, tn_mve_scale(&p->scaling, other, constants), count);
        }
        tn_mve_store(out + oc, tn_mve_scale(&p->scaling, sum, constants), count);
    }
}

/* `pairs` times two pixels whose windows lie inside the input; the first window begins at column `left`. */
TN_INLINE void tn_conv2d_few_inside(const tn_conv2d_few_s8_mve *p, const int8_t *const *rows, int left, int pairs,
                                    int8_t *out)
{
    const int below = p->pool == TN_MVE_POOL_ROWS ? p->row_distance : 0;
    const int beside = p->pool == TN_MVE_POOL_ROWS ? 0 : p->cols.stride * p->in_channels;
    const int step = p->pool == TN_MVE_POOL_ROWS ? p->cols.stride * p->in_channels : 2 * beside;
    const int32_t *constants = p->channels;
    const int8_t *w = p->weights;
    for (int oc = 0; oc < p->out_channels; oc += 4, constants += TN_MVE_CONSTANTS) {
        const int count = p->out_channels % 4 == 0 ? 4 : p->out_channels - oc;
        const tn_words bias = tn_words_load(constants);
        int at = left * p->in_channels;
        int8_t *to = out + oc;
        for (int i = 0; i < pairs; ++i, at += step) {
            const int8_t *v = w;
            tn_words sum = bias;
            tn_words other = bias;
            TN_UNROLL(8)
            for (int tap = 0; tap < p->taps; ++tap) {
                const int8_t *const first = rows[tap * p->tap_distance] + at;
                const int8_t *const second = rows[tap * p->tap_distance + below] + at + beside;
                TN_UNROLL(8)
                for (int k = 0; k < p->cols.kernel * p->in_channels; ++k, v += 4) {
                    const int col = k / p->in_channels * p->cols.dilation * p->in_channels + k % p->in_channels;
                    sum = tn_words_multiply_add(sum, tn_words_load_codes(v), first[col]);
                    other = tn_words_multiply_add(other, tn_words_load_codes(v), second[col]);
                }
            }
            if (p->pool != TN_MVE_POOL_NONE) {
                sum = tn_words_max(sum, other);
                tn_mve_store(to, tn_mve_scale(&p->scaling, sum, constants), count);
                to += p->out_channels;
            } else {
                tn_mve_store(to, tn_mve_scale(&p->scaling, sum, constants), count);
                tn_mve_store(to + p->out_channels, tn_mve_scale(&p->scaling, other, constants), count);
                to += 2 * p->out_channels;
            }
        }
        w += 4 * p->taps * p->cols.kernel * p->in_channels;
    }
}

/* Output row `y`; arguments as for tn_conv2d_s8_mve_row, without scratch. */
TN_INLINE void tn_conv2d_few_s8_mve_row(const tn_conv2d_few_s8_mve *p, const int8_t *const *rows, unsigned y,
                                        int8_t *out)
{
    const int below = p->pool == TN_MVE_POOL_ROWS && 2 * (int)y + 1 < p->conv_rows;
    const int across = p->pool == TN_MVE_POOL_ROWS ? 1 : 2;
    const int outputs = p->pool == TN_MVE_POOL_NONE ? 2 : 1; /* of a pair */
    /* Pairs start at even pixels. */
    const int first = (tn_mve_inside_first(&p->cols) + across - 1) / across * across;
    const int pairs = (tn_mve_inside_end(&p->cols) - first) / across;
    const int inside = (p->pool != TN_MVE_POOL_ROWS || below)
        && tn_mve_rows_inside(&p->rows, rows, p->taps, p->tap_distance)
        && (p->pool != TN_MVE_POOL_ROWS
            || tn_mve_rows_inside(&p->rows, rows + p->row_distance, p->taps, p->tap_distance));
    int x = 0;
    while (x < p->cols.out) {
        const int left = x * p->cols.stride - p->cols.pad;
        if (inside && pairs > 0 && x == first) {
            tn_conv2d_few_inside(p, rows, left, pairs, out);
            x += across * pairs;
            out += outputs * pairs * p->out_channels;
        } else {
            const int two = p->pool == TN_MVE_POOL_ROWS ? below : x + 1 < p->cols.out;
            tn_conv2d_few_border(p, rows, left, two, out);
            x += across;
            out += outputs * p->out_channels;
        }
    }
}

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_conv2d_few_s8_mve_run(const tn_conv2d_few_s8_mve *p, const int8_t **rows, const int8_t *in,
                                        int8_t *out)
{
    for (unsigned y = 0; y < p->rows.out; ++y, out += (size_t)p->out_cols * p->out_channels) {
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, (int)y, rows);
        tn_conv2d_few_s8_mve_row(p, rows, y, out);
    }
}

#ifdef __cplusplus
}
#endif
#endif
