#include "tn_depthwise_conv2d_s8.h"

/* A pixel whose window lies inside the input: `first` is the code under the first tap of a row. */
static inline void inner_pixel(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int first, int channels,
                               int8_t *out)
{
    const int step = p->cols.dilation * p->in_channels;
    const int multiplier = p->depth_multiplier;
    const int height = p->rows.kernel;
    const int width = p->cols.kernel;
    const tn_output_s8 limits = p->output;
    const tn_channel *channel = p->channels;
    const int8_t *w = p->weights;
    int repeat = multiplier;

    for (const tn_channel *end = channel + channels; channel < end; ++channel, ++w) {
        int32_t acc = channel->bias;
        const int8_t *tap_w = w;
        for (int r = 0; r < height; ++r) {
            const int8_t *x = rows[r] + first;
            for (int tap = width; tap > 0; --tap, x += step, tap_w += channels) {
                acc += (int32_t)*x * *tap_w;
            }
        }
        *out++ = tn_scale_s8(channel, acc, &limits);
        if (--repeat == 0) {
            repeat = multiplier;
            ++first;
        }
    }
}

/* One accumulator under the padding: taps outside the input read the zero point. */
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

static void border_pixel(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int left, int channels,
                         int8_t *out)
{
    for (int i = 0; i < channels; ++i) {
        const tn_channel *channel = &p->channels[i];
        const int32_t sum = border_sum(p, rows, left, i / p->depth_multiplier, p->weights + i, channels);
        out[i] = tn_scale_s8(channel, channel->bias + sum, &p->output);
    }
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
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride, out += channels) {
        if (whole && left >= 0 && left + reach < p->cols.in) {
            inner_pixel(p, rows, left * p->in_channels, channels, out);
        } else {
            border_pixel(p, rows, left, channels, out);
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
