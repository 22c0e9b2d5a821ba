/* CONV_2D and FULLY_CONNECTED for the DSP extension, alone or with a max-pooling of two behind it.
 *
 * The input under a pixel is gathered as 16-bit lanes; two pixels by two output channels then share every load and
 * every widening: 15 instructions for 16 multiply-accumulates. With pooling the two pixels are those that one output
 * compares, and only the larger accumulator is requantized: requantization never decreases. */
#ifndef TN_CONV2D_S8_DSP_H
#define TN_CONV2D_S8_DSP_H

#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a pair of pixels becomes. */
#define TN_POOL_NONE 0
#define TN_POOL_ROWS 1 /* two pixels below each other become one */
#define TN_POOL_COLS 2 /* two pixels beside each other become one */

typedef struct {
    tn_axis rows;          /* window of an output row: with TN_POOL_ROWS it spans both rows of the convolution */
    tn_axis cols;          /* of the convolution */
    uint16_t taps;         /* rows of one filter */
    uint16_t tap_distance; /* input rows between them */
    uint16_t row_distance; /* input rows between the two rows that are pooled */
    uint16_t conv_rows;    /* of the convolution's output */
    uint16_t out_cols;     /* of the output */
    uint16_t in_channels;
    uint16_t out_channels;
    uint16_t depth;        /* codes under one filter, padded to a multiple of 4, or of 8 beyond 8 */
    uint8_t pool;
    uint8_t interleaved;   /* codes of each four are gathered in the order 0 2 1 3; needs runs of a multiple of 4 */
    uint8_t proven;        /* see tn_dsp_scale_signed */
    int8_t in_zero_point;
    tn_output_s8 output;
    /* [pairs of output channels a b][depth / 2] words {a, b, a, b} for two gathered codes each; the last pair is
     * padded when the channels are odd in number, and channels too */
    const uint32_t *weights;
    const tn_dsp_channel *channels;              /* per output channel, or NULL */
    const tn_dsp_signed_channel *signed_channels; /* used where `channels` is NULL */
} tn_conv2d_s8_dsp;

/* Gather `count` codes as lanes. */
TN_INLINE int16_t *tn_conv2d_gather_run(const tn_conv2d_s8_dsp *p, const int8_t *x, int count, int16_t *column)
{
    if (p->interleaved != 0) {
        for (int i = 0; i < count; i += 4, column += 4) {
            const uint32_t word = tn_load4(x + i);
            const uint32_t even = tn_even_bytes(word);
            const uint32_t odd = tn_odd_bytes(word);
            (void)memcpy(column, &even, sizeof even);
            (void)memcpy(column + 2, &odd, sizeof odd);
        }
        return column;
    }
    for (int i = 0; i < count; ++i) {
        *column++ = x[i];
    }
    return column;
}

TN_INLINE int16_t *tn_conv2d_gather_padding(const tn_conv2d_s8_dsp *p, int count, int16_t *column)
{
    for (int i = 0; i < count; ++i) {
        *column++ = p->in_zero_point;
    }
    return column;
}

/* Gather everything under the pixel whose window begins at column `left`. */
TN_INLINE void tn_conv2d_gather(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, int16_t *column)
{
    const int channels = p->in_channels;
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    const int narrow = p->cols.pad == 0 && (p->cols.out - 1) * p->cols.stride + reach < p->cols.in;
    for (int tap = 0; tap < p->taps; ++tap, rows += p->tap_distance) {
        const int8_t *row = *rows;
        if (row == NULL) {
            column = tn_conv2d_gather_padding(p, p->cols.kernel * channels, column);
        } else if (p->cols.dilation == 1 && (narrow || (left >= 0 && left + reach < p->cols.in))) {
            column = tn_conv2d_gather_run(p, row + left * channels, p->cols.kernel * channels, column);
        } else {
            for (int i = 0, col = left; i < p->cols.kernel; ++i, col += p->cols.dilation) {
                column = col < 0 || col >= p->cols.in ? tn_conv2d_gather_padding(p, channels, column)
                                                      : tn_conv2d_gather_run(p, row + col * channels, channels, column);
            }
        }
    }
}

TN_INLINE int8_t tn_conv2d_scale(const tn_conv2d_s8_dsp *p, int channel, int32_t acc)
{
    return p->channels != NULL ? tn_dsp_scale(&p->channels[channel], acc, &p->output)
                               : tn_dsp_scale_signed(&p->signed_channels[channel], acc, &p->output, p->proven);
}

TN_INLINE int32_t tn_conv2d_bias(const tn_conv2d_s8_dsp *p, int channel)
{
    return p->channels != NULL ? p->channels[channel].bias : p->signed_channels[channel].bias;
}

TN_INLINE uint32_t tn_lanes_at(const int16_t *x)
{
    uint32_t word;
    (void)memcpy(&word, TN_ALIGNED4(x), sizeof word);
    return word;
}

/* acc[pixel][channel] += two codes of one or two pixels by two channels; the second pixel lies `depth` behind. */
TN_INLINE void tn_conv2d_two(int32_t acc[2][2], const int16_t *x, int depth, int pixels, uint32_t weights)
{
    const uint32_t a = tn_even_bytes(weights);
    const uint32_t b = tn_odd_bytes(weights);
    const uint32_t first = tn_lanes_at(x);
    acc[0][0] = tn_mac2(acc[0][0], first, a);
    acc[0][1] = tn_mac2(acc[0][1], first, b);
    if (pixels == 2) {
        const uint32_t second = tn_lanes_at(x + depth);
        acc[1][0] = tn_mac2(acc[1][0], second, a);
        acc[1][1] = tn_mac2(acc[1][1], second, b);
    }
}

/* One channel of one or two pixels. */
TN_INLINE void tn_conv2d_store(const tn_conv2d_s8_dsp *p, int channel, int32_t first, int32_t second, int pixels,
                               int8_t *out)
{
    if (pixels == 2 && p->pool != TN_POOL_NONE) {
        *out = tn_conv2d_scale(p, channel, tn_larger(first, second));
        return;
    }
    *out = tn_conv2d_scale(p, channel, first);
    if (pixels == 2) {
        out[p->out_channels] = tn_conv2d_scale(p, channel, second);
    }
}

/* All channels of one or two gathered pixels, to `out`; the second pixel's channels follow the first's, unless both
 * are pooled. */
TN_INLINE void tn_conv2d_pixels(const tn_conv2d_s8_dsp *p, const int16_t *columns, int pixels, int8_t *out)
{
    const uint32_t *w = p->weights;
    for (int oc = 0; oc < p->out_channels; oc += 2, out += 2) {
        const int32_t bias0 = tn_conv2d_bias(p, oc);
        const int32_t bias1 = tn_conv2d_bias(p, oc + 1);
        int32_t acc[2][2] = {{bias0, bias1}, {bias0, bias1}};
        const int16_t *x = columns;
        const int step = p->depth > 4 ? 8 : 4;
        do {
            tn_conv2d_two(acc, x, p->depth, pixels, w[0]);
            tn_conv2d_two(acc, x + 2, p->depth, pixels, w[1]);
            if (step == 8) {
                tn_conv2d_two(acc, x + 4, p->depth, pixels, w[2]);
                tn_conv2d_two(acc, x + 6, p->depth, pixels, w[3]);
            }
            w += step / 2;
            x += step;
        } while (x != columns + p->depth);
        tn_conv2d_store(p, oc, acc[0][0], acc[1][0], pixels, out);
        if (p->out_channels % 2 == 0 || oc + 1 < p->out_channels) {
            tn_conv2d_store(p, oc + 1, acc[0][1], acc[1][1], pixels, out + 1);
        }
    }
}

/* Output row `y`.
 * rows: rows.kernel pointers to input rows, NULL for a row of padding.
 * scratch: 2 * depth lanes, aligned to 4 bytes.
 * out: out_cols * out_channels codes; must not overlap the input. */
TN_INLINE void tn_conv2d_s8_dsp_row(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, unsigned y, int8_t *out,
                                    int16_t *scratch)
{
    int16_t *const x0 = scratch;
    int16_t *const x1 = scratch + p->depth;
    const int below = p->pool == TN_POOL_ROWS && 2 * (int)y + 1 < p->conv_rows;
    const int per_output = p->pool == TN_POOL_COLS ? 2 : 1;
    const int across = p->pool == TN_POOL_ROWS ? 1 : 2;
    const int used = p->taps * p->cols.kernel * p->in_channels;
    for (int i = used; i < p->depth; ++i) {
        x0[i] = 0;
        x1[i] = 0;
    }
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; x += across, left += across * p->cols.stride) {
        const int two = p->pool == TN_POOL_ROWS ? below : x + 1 < p->cols.out;
        tn_conv2d_gather(p, rows, left, x0);
        if (two && p->pool == TN_POOL_ROWS) {
            tn_conv2d_gather(p, rows + p->row_distance, left, x1);
        } else if (two != 0) {
            tn_conv2d_gather(p, rows, left + p->cols.stride, x1);
        }
        if (two != 0) {
            tn_conv2d_pixels(p, scratch, 2, out);
        } else {
            tn_conv2d_pixels(p, scratch, 1, out);
        }
        out += across / per_output * p->out_channels;
    }
}

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_conv2d_s8_dsp_run(const tn_conv2d_s8_dsp *p, const int8_t **rows, const int8_t *in, int8_t *out,
                                    int16_t *scratch)
{
    for (unsigned y = 0; y < p->rows.out; ++y, out += (size_t)p->out_cols * p->out_channels) {
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, (int)y, rows);
        tn_conv2d_s8_dsp_row(p, rows, y, out, scratch);
    }
}

#ifdef __cplusplus
}
#endif
#endif
