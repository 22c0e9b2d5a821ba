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
    /* [fours of output channels][runs][sixteens of a run][four channels][16], padded with zeros; in the last sixteen
     * of a run only 8 per channel when the rest of the run is at most 8 */
    const int8_t *weights;
    const int32_t *channels; /* [fours of output channels][TN_MVE_CONSTANTS] */
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

/* Point every other of `runs` at what lies under the pixel whose window begins at column `left`. */
TN_INLINE void tn_conv2d_mve_under(const tn_conv2d_s8_mve *p, const int8_t *const *rows, int left, int8_t *column,
                                   const int8_t **runs)
{
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    const int height = (p->rows.kernel - 1) * p->rows.dilation;
    const int narrow = p->cols.pad == 0 && (p->cols.out - 1) * p->cols.stride + reach < p->cols.in;
    const int low = p->rows.pad == 0 && (p->rows.out - 1) * p->rows.stride + height < p->rows.in;
    int inside = p->shape.in_place && (narrow || (left >= 0 && left + reach < p->cols.in));
    for (int tap = 0; !low && inside && tap < p->taps; ++tap) {
        inside = rows[tap * p->tap_distance] != NULL;
    }
    if (inside != 0) {
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

/* acc[pixel][channel] += the last codes of the only run, which fill neither a vector nor half of one. */
TN_INLINE const int8_t *tn_conv2d_mve_rest(const tn_conv2d_s8_mve *p, int32_t acc[2][4], const int8_t *const *at,
                                           const int8_t *w, int pixels)
{
    const int count = p->shape.run % 16;
    const int step = count < 8 ? 8 : 16;
    for (int pixel = 0; pixel < pixels; ++pixel) {
        const int8_t *const x = at[pixel] + p->shape.run - count;
        if (count < 8) {
            const tn_halves codes = tn_halves_load_first(x, count);
            TN_UNROLL(4)
            for (int c = 0; c < 4; ++c) {
                acc[pixel][c] = tn_halves_dot_add(acc[pixel][c], codes, tn_halves_load(w + 8 * c));
            }
        } else {
            const tn_codes codes = tn_codes_load_first(x, count);
            TN_UNROLL(4)
            for (int c = 0; c < 4; ++c) {
                acc[pixel][c] = tn_codes_dot_add(acc[pixel][c], codes, tn_codes_load(w + 16 * c));
            }
        }
    }
    return w + 4 * step;
}

/* Accumulators of four channels, without bias. Returns the weights of the next four. */
TN_INLINE const int8_t *tn_conv2d_mve_dots(const tn_conv2d_s8_mve *p, int32_t acc[2][4], const int8_t *const *at,
                                           const int8_t *w, int pixels)
{
    const tn_dots_shape shape = {p->shape.runs, p->shape.run / 16, p->shape.run % 16 == 8};
    if (shape.blocks == 0 && !shape.half) {
        for (int c = 0; c < 4; ++c) {
            acc[0][c] = 0;
            acc[1][c] = 0;
        }
    } else if (p->shape.runs == 1 && p->shape.run < 32) {
        w = tn_dots_short(&shape, acc, at, w, pixels);
    } else {
        w = tn_dots(&shape, acc, at, w, pixels);
    }
    return p->shape.run % 8 == 0 ? w : tn_conv2d_mve_rest(p, acc, at, w, pixels);
}

/* All channels of one or two pixels, to `out`; the second pixel's channels follow the first's, unless both are
 * pooled. */
TN_INLINE void tn_conv2d_mve_pixels(const tn_conv2d_s8_mve *p, const int8_t *const *at, int pixels, int8_t *out)
{
    const int8_t *w = p->weights;
    const int32_t *constants = p->channels;
    for (int oc = 0; oc < p->out_channels; oc += 4, constants += TN_MVE_CONSTANTS) {
        const int count = p->out_channels % 4 == 0 ? 4 : p->out_channels - oc;
        int32_t acc[2][4];
        w = tn_conv2d_mve_dots(p, acc, at, w, pixels);
        tn_words sum = tn_words_of(acc[0][0], acc[0][1], acc[0][2], acc[0][3]);
        const tn_words bias = tn_words_load(constants);
        if (pixels == 2) {
            tn_words other = tn_words_of(acc[1][0], acc[1][1], acc[1][2], acc[1][3]);
            if (p->pool != TN_MVE_POOL_NONE) {
                sum = tn_words_max(sum, other);
            } else {
                other = tn_mve_scale(&p->scaling, tn_words_add(other, bias), constants);
                tn_mve_store(out + p->out_channels + oc, other, count);
            }
        }
        tn_mve_store(out + oc, tn_mve_scale(&p->scaling, tn_words_add(sum, bias), constants), count);
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
    const int below = p->pool == TN_MVE_POOL_ROWS && 2 * (int)y + 1 < p->conv_rows;
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
        const int two = p->pool == TN_MVE_POOL_ROWS ? below : x + 1 < p->cols.out;
        tn_conv2d_mve_under(p, rows, left, scratch, runs);
        if (two != 0) {
            if (p->pool == TN_MVE_POOL_ROWS) {
                tn_conv2d_mve_under(p, rows + p->row_distance, left, column, runs + 1);
            } else {
                tn_conv2d_mve_under(p, rows, left + p->cols.stride, column, runs + 1);
            }
            tn_conv2d_mve_pixels(p, runs, 2, out);
        } else {
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
