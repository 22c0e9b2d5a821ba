/* CONV_2D with few codes under a filter, for the vector extension, alone or with a max-pooling of two behind it; also
 * DEPTHWISE_CONV_2D of one channel. Lanes are output channels: each code is multiplied with four weights at once, and
 * eight channels of two pixels become codes together. */
#ifndef TN_CONV2D_FEW_S8_MVE_H
#define TN_CONV2D_FEW_S8_MVE_H

#include "tn_conv2d_s8_mve.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TN_MVE_FEW 8 /* codes under a filter at most */

/* Fields as in tn_conv2d_s8_mve but for the weights and constants, in eights of output channels, the last of which
 * overlap those before: [eights][taps * cols.kernel * in_channels][2][4] and [eights][2][TN_MVE_CONSTANTS], even
 * channels of an eight before odd ones. */
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
    const int8_t *border; /* a row of padding, or NULL: rows are then checked */
} tn_conv2d_few_s8_mve;

/* The codes under the pixel whose window begins at column `left`. */
TN_INLINE void tn_conv2d_few_codes(const tn_conv2d_few_s8_mve *p, const int8_t *const *rows, int left, int32_t *x)
{
    for (int tap = 0; tap < p->taps; ++tap) {
        const int8_t *const row = rows[tap * p->tap_distance];
        const int missing = tn_rows_missing(&p->rows, p->border) != 0 && row == NULL;
        int col = left;
        for (int i = 0; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int inside = !missing && col >= 0 && col < p->cols.in;
            for (int c = 0; c < p->in_channels; ++c) {
                *x++ = inside ? row[col * p->in_channels + c] : p->in_zero_point;
            }
        }
    }
}

#if TN_HAS_MVE && defined(__OPTIMIZE__)
#define TN_HAS_FEW_TAP 1
#define TN_FEW_TAP(multiply) \
    "vldrb.s32 %q[x], [%[w]], #4\n\tvldrb.s32 %q[y], [%[w]], #4\n\t" \
    multiply " %q[c], %q[x], %[i]\n\t" multiply " %q[d], %q[y], %[i]\n\t" \
    multiply " %q[f], %q[x], %[j]\n\t" multiply " %q[g], %q[y], %[j]"
#define TN_FEW_TAP_ASM(multiply, sum) \
    __asm__ volatile(TN_FEW_TAP(multiply) \
                     : [c] sum(sums->even), [d] sum(sums->odd), [f] sum(sums->other_even), [g] sum(sums->other_odd), \
                       [x] "=&w"(even), [y] "=&w"(odd), [w] "+&l"(w) \
                     : [i] "r"(first), [j] "r"(second) \
                     : "memory")
#else
#define TN_HAS_FEW_TAP 0
#endif

/* Products of one code of each pixel with the weights of eight channels: added to the sums,
 * which are still 0 when it is the first. Returns the weights of the next code. */
TN_INLINE const int8_t *tn_conv2d_few_products(tn_mve_sums *sums, const int8_t *w, int32_t first, int32_t second,
                                               int begin)
{
#if TN_HAS_FEW_TAP
    /* Assembly, because GCC takes weights out of loops and spills them. */
    tn_words even;
    tn_words odd;
    if (begin != 0) {
        TN_FEW_TAP_ASM("vmul.i32", "=&w");
    } else {
        TN_FEW_TAP_ASM("vmla.s32", "+&w");
    }
    return w;
#else
    const tn_words even = tn_words_load_codes(w);
    const tn_words odd = tn_words_load_codes(w + 4);
    (void)begin;
    sums->even = tn_words_multiply_add(sums->even, even, first);
    sums->odd = tn_words_multiply_add(sums->odd, odd, first);
    sums->other_even = tn_words_multiply_add(sums->other_even, even, second);
    sums->other_odd = tn_words_multiply_add(sums->other_odd, odd, second);
    return w + 8;
#endif
}

/* Store eight channels of two pixels, which may become one; of the first alone unless `two`. */
TN_INLINE void tn_conv2d_few_store(const tn_conv2d_few_s8_mve *p, const tn_mve_sums *sums, const int32_t *constants,
                                   int two, int8_t *out)
{
    const int lanes = p->out_channels < 8 ? p->out_channels : 8;
    if (p->pool != TN_MVE_POOL_NONE) {
        const tn_words even = tn_words_max(sums->even, sums->other_even);
        const tn_words odd = tn_words_max(sums->odd, sums->other_odd);
        const tn_halves codes = tn_mve_scale_sums(&p->scaling, even, odd, constants);
        tn_mve_store_eight(out, codes, lanes);
    } else {
        tn_mve_eights both;
        tn_mve_scale_eights(&p->scaling, sums, constants, &both);
        tn_mve_store_eight(out, both.first, lanes);
        if (two != 0) {
            tn_mve_store_eight(out + p->out_channels, both.second, lanes);
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
    for (int oc = 0; oc < p->out_channels; oc = tn_mve_next_eight(oc, p->out_channels)) {
        tn_mve_sums sums = tn_mve_no_sums();
        w = tn_conv2d_few_products(&sums, w, x[0][0], x[1][0], 1);
        for (int i = 1; i < used; ++i) {
            w = tn_conv2d_few_products(&sums, w, x[0][i], x[1][i], 0);
        }
        tn_conv2d_few_store(p, &sums, constants, two, out + oc);
        constants += 2 * TN_MVE_CONSTANTS;
    }
}

/* `pairs` times two pixels whose windows lie inside the input; the first window begins at column `left`. */
TN_INLINE void tn_conv2d_few_inside(const tn_conv2d_few_s8_mve *p, const int8_t *const *rows, int left, int pairs,
                                    int8_t *out)
{
    const int below = p->pool == TN_MVE_POOL_ROWS ? p->row_distance : 0;
    const int beside = p->pool == TN_MVE_POOL_ROWS ? 0 : p->cols.stride * p->in_channels;
    const int step = p->pool == TN_MVE_POOL_ROWS ? p->cols.stride * p->in_channels : 2 * beside;
    const int outputs = p->pool == TN_MVE_POOL_NONE ? 2 : 1; /* of a pair */
    const int used = p->taps * p->cols.kernel * p->in_channels;
    const int32_t *constants = p->channels;
    const int8_t *w = p->weights;
    for (int oc = 0; oc < p->out_channels; oc = tn_mve_next_eight(oc, p->out_channels)) {
        int at = left * p->in_channels;
        int8_t *to = out + oc;
        for (int i = 0; i < pairs; ++i, at += step, to += outputs * p->out_channels) {
            tn_mve_sums sums = tn_mve_no_sums();
            const int8_t *filter = w;
            TN_UNROLL(8)
            for (int tap = 0; tap < used; ++tap) {
                const int k = tap % (p->cols.kernel * p->in_channels);
                const int row = tap / (p->cols.kernel * p->in_channels) * p->tap_distance;
                const int col = k / p->in_channels * p->cols.dilation * p->in_channels + k % p->in_channels + at;
                const int8_t other = rows[row + below][col + beside];
                filter = tn_conv2d_few_products(&sums, filter, rows[row][col], other, tap == 0);
            }
            tn_conv2d_few_store(p, &sums, constants, 1, to);
        }
        w += 8 * used;
        constants += 2 * TN_MVE_CONSTANTS;
    }
}

/* Output row `y`; arguments as for tn_conv2d_s8_mve_row, without scratch; `border` stands for rows of padding where
 * there is one. */
TN_INLINE void tn_conv2d_few_s8_mve_row(const tn_conv2d_few_s8_mve *p, const int8_t *const *rows, unsigned y,
                                        int8_t *out)
{
    const int below = tn_mve_below(p->pool, p->conv_rows, y);
    const int across = p->pool == TN_MVE_POOL_ROWS ? 1 : 2;
    const int outputs = p->pool == TN_MVE_POOL_NONE ? 2 : 1; /* of a pair */
    /* Pairs start at even pixels. */
    const int first = (tn_mve_inside_first(&p->cols) + across - 1) / across * across;
    const int pairs = (tn_mve_inside_end(&p->cols) - first) / across;
    const int inside = (p->pool != TN_MVE_POOL_ROWS || below)
        && tn_mve_rows_inside(&p->rows, p->border, rows, p->taps, p->tap_distance)
        && (p->pool != TN_MVE_POOL_ROWS
            || tn_mve_rows_inside(&p->rows, p->border, rows + p->row_distance, p->taps, p->tap_distance));
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
        tn_border_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, (int)y, p->border, rows);
        tn_conv2d_few_s8_mve_row(p, rows, y, out);
    }
}

#ifdef __cplusplus
}
#endif
#endif
