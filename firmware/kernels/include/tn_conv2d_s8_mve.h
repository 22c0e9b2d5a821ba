/* CONV_2D and FULLY_CONNECTED for the vector extension, alone or with a max-pooling of two behind it.
 *
 * Sixteen products are one instruction, whose sum goes to a scalar register: two pixels by four channels share all
 * loads. What lies under a pixel is read in place where it is contiguous, in runs; otherwise, and at borders, it is
 * gathered first. With pooling the two pixels are those that one output compares, and only the larger accumulator is
 * requantized: requantization never decreases. */
#ifndef TN_CONV2D_S8_MVE_H
#define TN_CONV2D_S8_MVE_H

#include "tn_mve_dots.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a pair of pixels becomes. */
#define TN_MVE_POOL_NONE 0
#define TN_MVE_POOL_ROWS 1 /* two pixels below each other become one */
#define TN_MVE_POOL_COLS 2 /* two pixels beside each other become one */

/* Whether the second of two rows that are pooled exists for output row `y`. */
TN_INLINE int tn_mve_below(unsigned pool, unsigned conv_rows, unsigned y)
{
    return pool == TN_MVE_POOL_ROWS && (conv_rows % 2u == 0u || 2u * y + 1u < conv_rows);
}

/* Constants that the inner loop is made for. */
typedef struct {
    uint16_t runs;    /* contiguous parts under a pixel: `taps` when they are read in place, else 1 */
    uint16_t run;     /* codes in each; those that are gathered are padded to a multiple of 8 */
    uint8_t in_place; /* whether they are read in place */
} tn_conv2d_mve_shape;

typedef struct {
    tn_axis rows;          /* window of an output row: with TN_MVE_POOL_ROWS it spans both rows of the convolution */
    tn_axis cols;          /* of the convolution */
    uint16_t taps;         /* rows of one filter */
    uint16_t tap_distance; /* input rows between them */
    uint16_t row_distance; /* input rows between the two rows that are pooled */
    uint16_t conv_rows;    /* of the convolution's output */
    uint16_t out_cols;     /* of the output */
    uint16_t in_channels;
    uint16_t out_channels;
    tn_conv2d_mve_shape shape;
    uint8_t pool;
    int8_t in_zero_point;
    tn_mve_scaling scaling;
    /* Fours of output channels are the even and the odd ones of each eight; the last one to four that no eight holds
     * are a four in order. [fours][runs][sixteens of a run][four channels][16], padded with zeros; in the last sixteen
     * of a run only 8 per channel when the rest of the run is at most 8 */
    const int8_t *weights;
    const int32_t *channels; /* [fours][TN_MVE_CONSTANTS] */
} tn_conv2d_s8_mve;

/* Codes that a gathered run takes, whole vectors. */
TN_INLINE int tn_conv2d_mve_padded(const tn_conv2d_s8_mve *p)
{
    return (p->shape.run + 15) / 16 * 16;
}

/* Gather everything under the pixel whose window begins at column `left`; each run starts at a whole vector. */
TN_INLINE void tn_conv2d_mve_gather(const tn_conv2d_s8_mve *p, const int8_t *const *rows, int left, int8_t *column)
{
    const int channels = p->in_channels;
    for (int tap = 0; tap < p->taps; ++tap) {
        const int8_t *const row = rows[tap * p->tap_distance];
        int8_t *x = column + tap * (p->shape.in_place ? tn_conv2d_mve_padded(p) : p->cols.kernel * channels);
        const int last = left + (p->cols.kernel - 1) * p->cols.dilation;
        if (row == NULL) {
            tn_mve_fill(x, p->in_zero_point, p->cols.kernel * channels);
        } else if (p->cols.dilation == 1 && left >= 0 && last < p->cols.in) {
            tn_mve_copy(x, row + left * channels, p->cols.kernel * channels);
        } else {
            for (int col = left; col <= last; col += p->cols.dilation, x += channels) {
                if (col < 0 || col >= p->cols.in) {
                    tn_mve_fill(x, p->in_zero_point, channels);
                } else {
                    tn_mve_copy(x, row + col * channels, channels);
                }
            }
        }
    }
}

/* Whether no window reaches over an edge of the input, so that codes are always read in place. */
TN_INLINE int tn_conv2d_mve_direct(const tn_conv2d_s8_mve *p)
{
    return p->shape.in_place && tn_mve_unpadded(&p->cols) && tn_mve_unpadded(&p->rows);
}

/* Point every other of `runs` at what lies under the pixel whose window begins at column `left`. */
TN_INLINE void tn_conv2d_mve_under(const tn_conv2d_s8_mve *p, const int8_t *const *rows, int left, int8_t *column,
                                   const int8_t **runs)
{
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    const int narrow = tn_mve_unpadded(&p->cols) || (left >= 0 && left + reach < p->cols.in);
    const int inside =
        p->shape.in_place && narrow && tn_mve_rows_inside(&p->rows, NULL, rows, p->taps, p->tap_distance);
    if (tn_conv2d_mve_direct(p) != 0 || inside != 0) {
        for (int tap = 0; tap < p->taps; ++tap) {
            runs[2 * tap] = rows[tap * p->tap_distance] + left * p->in_channels;
        }
    } else {
        tn_conv2d_mve_gather(p, rows, left, column);
        for (int i = 0; i < p->shape.runs; ++i) {
            runs[2 * i] = column + i * tn_conv2d_mve_padded(p);
        }
    }
}

/* The same for a pixel and the one right of it, or below it. */
TN_INLINE void tn_conv2d_mve_under_two(const tn_conv2d_s8_mve *p, const int8_t *const *rows, int left, int8_t *scratch,
                                       const int8_t **runs)
{
    const int below = p->pool == TN_MVE_POOL_ROWS ? p->row_distance : 0;
    const int beside = p->pool == TN_MVE_POOL_ROWS ? 0 : p->cols.stride;
    const int column = p->shape.runs * tn_conv2d_mve_padded(p);
    if (tn_conv2d_mve_direct(p) != 0) {
        tn_conv2d_mve_under(p, rows, left, scratch, runs);
        tn_conv2d_mve_under(p, rows + below, left + beside, scratch + column, runs + 1);
    } else {
        TN_UNROLL(1)
        for (int i = 0; i < 2; ++i) {
            tn_conv2d_mve_under(p, rows + i * below, left + i * beside, scratch + i * column, runs + i);
        }
    }
}

/* Add the last codes of the only run, which fill neither a vector nor half of one. */
TN_INLINE const int8_t *tn_conv2d_mve_rest(const tn_conv2d_s8_mve *p, tn_dots_sums *sums, const int8_t *const *at,
                                           const int8_t *w, int pixels)
{
    const int count = p->shape.run % 16;
    const int whole = p->shape.run - count;
    tn_dots_vector x = tn_dots_no_vector();
    tn_dots_sums rest;
    tn_dots_vector_load(&x, at[0] + whole, at[1] + whole, count);
    w = tn_dots_one_vector(&x, &rest, w, count);
    sums->first = tn_words_add(sums->first, rest.first);
    if (pixels == 2) {
        sums->second = tn_words_add(sums->second, rest.second);
    }
    return w;
}

/* Whether one vector holds all codes under a pixel. */
TN_INLINE int tn_conv2d_mve_short(const tn_conv2d_s8_mve *p)
{
    return p->shape.runs == 1u && p->shape.run <= 16u;
}

/* Sums of four channels, without bias; x: the codes when they are short. Returns the weights of the next four. */
TN_INLINE const int8_t *tn_conv2d_mve_dots(const tn_conv2d_s8_mve *p, const tn_dots_vector *x, tn_dots_sums *sums,
                                           const int8_t *const *at, const int8_t *w, int pixels)
{
    if (tn_conv2d_mve_short(p) != 0) {
        return tn_dots_one_vector(x, sums, w, p->shape.run);
    }
    const tn_dots_shape shape = {p->shape.runs, p->shape.run / 16, p->shape.run % 16 == 8};
    w = tn_dots(&shape, sums, at, w, pixels);
    return p->shape.run % 8 == 0 ? w : tn_conv2d_mve_rest(p, sums, at, w, pixels);
}

/* Store eight channels, or the first `count` when they are fewer, of one or two pixels. */
TN_INLINE void tn_conv2d_mve_store(const tn_conv2d_s8_mve *p, const tn_dots_sums *even, const tn_dots_sums *odd,
                                   const int32_t *constants, int pixels, int count, int8_t *out)
{
    if (pixels == 2 && p->pool == TN_MVE_POOL_NONE) {
        const tn_mve_sums sums = {even->first, odd->first, even->second, odd->second};
        tn_mve_eights both;
        tn_mve_scale_eights(&p->scaling, &sums, constants, &both);
        tn_mve_store_eight(out, both.first, count);
        tn_mve_store_eight(out + p->out_channels, both.second, count);
    } else {
        const tn_words first = pixels == 2 ? tn_words_max(even->first, even->second) : even->first;
        const tn_words second = pixels == 2 ? tn_words_max(odd->first, odd->second) : odd->first;
        tn_mve_store_eight(out, tn_mve_scale_sums(&p->scaling, first, second, constants), count);
    }
}

/* Store the last channels when they are four or fewer. */
TN_INLINE void tn_conv2d_mve_store_four(const tn_conv2d_s8_mve *p, const tn_dots_sums *sums, const int32_t *constants,
                                        int pixels, int count, int8_t *out)
{
    const tn_words bias = tn_words_load(constants);
    tn_words first = sums->first;
    if (pixels == 2 && p->pool != TN_MVE_POOL_NONE) {
        first = tn_words_max(first, sums->second);
    } else if (pixels == 2) {
        const tn_words codes = tn_mve_scale(&p->scaling, tn_words_add(sums->second, bias), constants);
        tn_mve_store(out + p->out_channels, codes, count);
    }
    tn_mve_store(out, tn_mve_scale(&p->scaling, tn_words_add(first, bias), constants), count);
}

/* All channels of one or two pixels, to `out`; the second pixel's channels follow the first's, unless both are
 * pooled. One pixel stands at both places of `at`. */
TN_INLINE void tn_conv2d_mve_pixels(const tn_conv2d_s8_mve *p, const int8_t *const *at, int pixels, int8_t *out)
{
    const int8_t *w = p->weights;
    const int32_t *constants = p->channels;
    int left = p->out_channels;
    tn_dots_vector x = tn_dots_no_vector();
    if (tn_conv2d_mve_short(p) != 0) {
        tn_dots_vector_load(&x, at[0], at[1], p->shape.run);
    }
    for (; left > 4; left -= 8, constants += 2 * TN_MVE_CONSTANTS, out += 8) {
        const int count = p->out_channels % 8 == 0 ? 8 : left;
        tn_dots_sums even;
        tn_dots_sums odd;
        w = tn_conv2d_mve_dots(p, &x, &even, at, w, pixels);
        w = tn_conv2d_mve_dots(p, &x, &odd, at, w, pixels);
        tn_conv2d_mve_store(p, &even, &odd, constants, pixels, count, out);
    }
    if (left > 0) {
        tn_dots_sums sums;
        (void)tn_conv2d_mve_dots(p, &x, &sums, at, w, pixels);
        tn_conv2d_mve_store_four(p, &sums, constants, pixels, left, out);
    }
}

/* Output row `y`.
 * rows: rows.kernel pointers to input rows, NULL for a row of padding.
 * scratch: twice what gathered runs take. runs: scratch for 2 * runs + 2 pointers.
 * out: out_cols * out_channels codes; must not overlap the input. */
TN_INLINE void tn_conv2d_s8_mve_row(const tn_conv2d_s8_mve *p, const int8_t *const *rows, unsigned y, int8_t *out,
                                    int8_t *scratch, const int8_t **runs)
{
    int8_t *const column = scratch + p->shape.runs * tn_conv2d_mve_padded(p);
    const int below = tn_mve_below(p->pool, p->conv_rows, y);
    const int per_output = p->pool == TN_MVE_POOL_COLS ? 2 : 1;
    const int across = p->pool == TN_MVE_POOL_ROWS ? 1 : 2;
    int left = -(int)p->cols.pad;
    runs[2 * p->shape.runs] = NULL;
    runs[2 * p->shape.runs + 1] = NULL;
    if (!p->shape.in_place) {
        const int used = p->taps * p->cols.kernel * p->in_channels;
        tn_mve_fill(scratch + used, 0, p->shape.run - used);
        tn_mve_fill(column + used, 0, p->shape.run - used);
    }
    for (int x = 0; x < p->cols.out; x += across, left += across * p->cols.stride) {
        const int beside = p->cols.out % 2u == 0u || x + 1 < p->cols.out;
        const int two = p->pool == TN_MVE_POOL_ROWS ? below : beside;
        if (two != 0) {
            tn_conv2d_mve_under_two(p, rows, left, scratch, runs);
            tn_conv2d_mve_pixels(p, runs, 2, out);
        } else {
            tn_conv2d_mve_under(p, rows, left, scratch, runs);
            for (int i = 0; i < p->shape.runs; ++i) {
                runs[2 * i + 1] = runs[2 * i];
            }
            tn_conv2d_mve_pixels(p, runs, 1, out);
        }
        out += across / per_output * p->out_channels;
    }
}

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_conv2d_s8_mve_run(const tn_conv2d_s8_mve *p, const int8_t **rows, const int8_t *in, int8_t *out,
                                    int8_t *scratch, const int8_t **runs)
{
    for (unsigned y = 0; y < p->rows.out; ++y, out += (size_t)p->out_cols * p->out_channels) {
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, (int)y, rows);
        tn_conv2d_s8_mve_row(p, rows, y, out, scratch, runs);
    }
}

#ifdef __cplusplus
}
#endif
#endif
