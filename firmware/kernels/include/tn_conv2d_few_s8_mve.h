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
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    const int height = (p->rows.kernel - 1) * p->rows.dilation;
    const int narrow = p->cols.pad == 0 && (p->cols.out - 1) * p->cols.stride + reach < p->cols.in;
    const int low = p->rows.pad == 0 && (p->rows.out - 1) * p->rows.stride + height < p->rows.in;
    for (int tap = 0; tap < p->taps; ++tap) {
        const int8_t *const row = rows[tap * p->tap_distance];
        int col = left;
        for (int i = 0; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int inside = (low || row != NULL) && (narrow || (col >= 0 && col < p->cols.in));
            for (int c = 0; c < p->in_channels; ++c) {
                *x++ = inside ? row[col * p->in_channels + c] : p->in_zero_point;
            }
        }
    }
}

/* All channels of one or two pixels; as tn_conv2d_mve_pixels. */
TN_INLINE void tn_conv2d_few_pixels(const tn_conv2d_few_s8_mve *p, const int32_t *x0, const int32_t *x1, int pixels,
                                    int8_t *out)
{
    const int used = p->taps * p->cols.kernel * p->in_channels;
    const int8_t *w = p->weights;
    const int32_t *constants = p->channels;
    for (int oc = 0; oc < p->out_channels; oc += 4, constants += TN_MVE_CONSTANTS) {
        const int count = p->out_channels % 4 == 0 ? 4 : p->out_channels - oc;
        tn_words sum = tn_words_load(constants);
        tn_words other = sum;
        TN_UNROLL(8)
        for (int i = 0; i < used; ++i, w += 4) {
            const tn_words v = tn_words_load_codes(w);
            sum = tn_words_multiply_add(sum, v, x0[i]);
            if (pixels == 2) {
                other = tn_words_multiply_add(other, v, x1[i]);
            }
        }
        if (pixels == 2 && p->pool != TN_MVE_POOL_NONE) {
            sum = tn_words_max(sum, other);
        } else if (pixels == 2) {
            tn_mve_store(out + p->out_channels + oc, tn_mve_scale(&p->scaling, other, constants), count);
        }
        tn_mve_store(out + oc, tn_mve_scale(&p->scaling, sum, constants), count);
    }
}

/* Output row `y`; arguments as for tn_conv2d_s8_mve_row, without scratch. */
TN_INLINE void tn_conv2d_few_s8_mve_row(const tn_conv2d_few_s8_mve *p, const int8_t *const *rows, unsigned y,
                                        int8_t *out)
{
    const int below = p->pool == TN_MVE_POOL_ROWS && 2 * (int)y + 1 < p->conv_rows;
    const int per_output = p->pool == TN_MVE_POOL_COLS ? 2 : 1;
    const int across = p->pool == TN_MVE_POOL_ROWS ? 1 : 2;
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; x += across, left += across * p->cols.stride) {
        const int two = p->pool == TN_MVE_POOL_ROWS ? below : x + 1 < p->cols.out;
        int32_t first[TN_MVE_FEW];
        int32_t second[TN_MVE_FEW];
        tn_conv2d_few_codes(p, rows, left, first);
        if (two) {
            if (p->pool == TN_MVE_POOL_ROWS) {
                tn_conv2d_few_codes(p, rows + p->row_distance, left, second);
            } else {
                tn_conv2d_few_codes(p, rows, left + p->cols.stride, second);
            }
            tn_conv2d_few_pixels(p, first, second, 2, out);
        } else {
            tn_conv2d_few_pixels(p, first, first, 1, out);
        }
        out += across / per_output * p->out_channels;
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
