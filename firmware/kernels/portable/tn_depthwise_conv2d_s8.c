#include "tn_depthwise_conv2d_s8.h"

/* One output code. `left` is the column under the first tap; taps outside the input read the zero point. */
static int32_t border_sum(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int left, int in_channel,
                          const int8_t *w, int channels)
{
    int32_t acc = 0;
    for (int r = 0; r < p->rows.kernel; ++r) {
        int col = left;
        for (int tap = 0; tap < p->cols.kernel; ++tap, col += p->cols.dilation, w += channels) {
            const int outside = rows[r] == NULL || col < 0 || col >= p->cols.in;
            const int32_t x = outside ? p->in_zero_point : rows[r][(size_t)col * p->in_channels + (size_t)in_channel];
            acc += x * *w;
        }
    }
    return acc;
}

/* The same where the whole window lies inside the input. */
static inline int32_t inner_sum(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int first,
                                const int8_t *w, int channels)
{
    const int step = p->cols.dilation * p->in_channels;
    int32_t acc = 0;
    for (int r = 0; r < p->rows.kernel; ++r) {
        const int8_t *x = rows[r] + first;
        for (int tap = p->cols.kernel; tap > 0; --tap, x += step, w += channels) {
            acc += (int32_t)*x * *w;
        }
    }
    return acc;
}

TN_HOT void tn_depthwise_conv2d_s8_row(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int8_t *out)
{
    const int channels = p->in_channels * p->depth_multiplier;
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    int whole = 1;
    for (int r = 0; r < p->rows.kernel; ++r) {
        whole = whole && rows[r] != NULL;
    }
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride) {
        const int inner = whole && left >= 0 && left + reach < p->cols.in;
        int channel = 0;
        for (int in_channel = 0; in_channel < p->in_channels; ++in_channel) {
            for (int m = 0; m < p->depth_multiplier; ++m, ++channel) {
                const int8_t *w = p->weights + channel;
                const int32_t acc = p->bias[channel] +
                    (inner ? inner_sum(p, rows, left * p->in_channels + in_channel, w, channels)
                           : border_sum(p, rows, left, in_channel, w, channels));
                *out++ = tn_store_s8(tn_requantize(acc, p->multiplier[channel], p->shift[channel]), &p->output);
            }
        }
    }
}

TN_HOT void tn_depthwise_conv2d_s8_run(const tn_depthwise_conv2d_s8 *p, const int8_t **rows, const int8_t *in,
                                       int8_t *out)
{
    const size_t in_row = (size_t)p->cols.in * p->in_channels;
    const size_t out_row = (size_t)p->cols.out * p->in_channels * p->depth_multiplier;
    for (int y = 0; y < p->rows.out; ++y, out += out_row) {
        tn_window_rows(&p->rows, in, in_row, y, rows);
        tn_depthwise_conv2d_s8_row(p, rows, out);
    }
}
