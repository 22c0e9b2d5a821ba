/* DEPTHWISE_CONV_2D for the DSP extension: depth multiplier 1, channels a multiple of 4.
 *
 * Four channels of a tap are one load; the taps of a pixel are found once, in a list, so that borders cost no more
 * than the inside. */
#ifndef TN_DEPTHWISE_CONV2D_S8_DSP_H
#define TN_DEPTHWISE_CONV2D_S8_DSP_H

#include "tn_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    tn_axis rows;
    tn_axis cols;
    uint16_t channels;
    uint8_t proven;       /* see tn_dsp_scale_signed */
    int8_t in_zero_point; /* the value that padding has */
    tn_output_s8 output;
    const uint32_t *weights; /* [fours of channels][rows.kernel][cols.kernel] times lanes {0, 2} and {1, 3} of the four */
    const tn_dsp_channel *constants;               /* per channel, or NULL */
    const tn_dsp_signed_channel *signed_constants; /* used where `constants` is NULL */
} tn_depthwise_conv2d_s8_dsp;

TN_INLINE int32_t tn_depthwise_bias(const tn_depthwise_conv2d_s8_dsp *p, int channel)
{
    return p->constants != NULL ? p->constants[channel].bias : p->signed_constants[channel].bias;
}

TN_INLINE int8_t tn_depthwise_scale(const tn_depthwise_conv2d_s8_dsp *p, int channel, int32_t acc)
{
    return p->constants != NULL ? tn_dsp_scale(&p->constants[channel], acc, &p->output)
                                : tn_dsp_scale_signed(&p->signed_constants[channel], acc, &p->output, p->proven);
}

/* Point `taps` at the first channel under each tap of the window that begins at column `left`. */
TN_INLINE void tn_depthwise_taps(const tn_depthwise_conv2d_s8_dsp *p, const int8_t *const *rows, int left,
                                 const int8_t *padding, const int8_t **taps)
{
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    const int narrow = p->cols.pad == 0 && (p->cols.out - 1) * p->cols.stride + reach < p->cols.in;
    for (int r = 0; r < p->rows.kernel; ++r) {
        const int8_t *row = rows[r];
        for (int i = 0, col = left; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int inside = row != NULL && (narrow || (col >= 0 && col < p->cols.in));
            *taps++ = inside ? row + col * p->channels : padding;
        }
    }
}

/* Output row; arguments as for tn_depthwise_conv2d_s8_row.
 * scratch: `channels` codes. taps: scratch for rows.kernel * cols.kernel pointers. */
TN_INLINE void tn_depthwise_conv2d_s8_dsp_row(const tn_depthwise_conv2d_s8_dsp *p, const int8_t *const *rows,
                                              int8_t *out, int8_t *scratch, const int8_t **taps)
{
    const int count = p->rows.kernel * p->cols.kernel;
    (void)memset(scratch, p->in_zero_point, p->channels);
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride) {
        const uint32_t *w = p->weights;
        tn_depthwise_taps(p, rows, left, scratch, taps);
        for (int channel = 0; channel < p->channels; channel += 4, out += 4) {
            int32_t acc0 = tn_depthwise_bias(p, channel);
            int32_t acc1 = tn_depthwise_bias(p, channel + 1);
            int32_t acc2 = tn_depthwise_bias(p, channel + 2);
            int32_t acc3 = tn_depthwise_bias(p, channel + 3);
            for (int tap = 0; tap < count; ++tap, w += 2) {
                const uint32_t word = tn_load4(taps[tap] + channel);
                const uint32_t even = tn_even_bytes(word);
                const uint32_t odd = tn_odd_bytes(word);
                acc0 = tn_mac_low(acc0, even, w[0]);
                acc1 = tn_mac_low(acc1, odd, w[1]);
                acc2 = tn_mac_high(acc2, even, w[0]);
                acc3 = tn_mac_high(acc3, odd, w[1]);
            }
            out[0] = tn_depthwise_scale(p, channel, acc0);
            out[1] = tn_depthwise_scale(p, channel + 1, acc1);
            out[2] = tn_depthwise_scale(p, channel + 2, acc2);
            out[3] = tn_depthwise_scale(p, channel + 3, acc3);
        }
    }
}

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_depthwise_conv2d_s8_dsp_run(const tn_depthwise_conv2d_s8_dsp *p, const int8_t **rows,
                                              const int8_t *in, int8_t *out, int8_t *scratch, const int8_t **taps)
{
    for (int y = 0; y < p->rows.out; ++y, out += (size_t)p->cols.out * p->channels) {
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->channels, y, rows);
        tn_depthwise_conv2d_s8_dsp_row(p, rows, out, scratch, taps);
    }
}

#ifdef __cplusplus
}
#endif
#endif
