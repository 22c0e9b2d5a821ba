#include "tn_depthwise_conv2d_s8.h"

/* Taps of the window that most 1-D networks have; they get a loop without a loop inside. */
#define FEW_TAPS 3

/* Output columns whose windows lie inside the input. */
typedef struct {
    int first;
    int end;
} span;

static span inner_span(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows)
{
    const int room = p->cols.in - (p->cols.kernel - 1) * p->cols.dilation + p->cols.pad;
    span inner = {(p->cols.pad + p->cols.stride - 1) / p->cols.stride, 0};
    inner.end = room > 0 ? (room - 1) / p->cols.stride + 1 : 0;
    inner.end = inner.end < p->cols.out ? inner.end : p->cols.out;
    for (int r = 0; r < p->rows.kernel; ++r) {
        inner.end = rows[r] == NULL ? 0 : inner.end;
    }
    inner.first = inner.first < inner.end ? inner.first : inner.end;
    return inner;
}

/* One output channel over the inner columns, three taps. `first` is the code under the first tap. */
static void few_taps(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int first, int oc, int count,
                     int8_t *out)
{
    const int channels = p->in_channels * p->depth_multiplier;
    const int step = p->cols.stride * p->in_channels;
    const int across = p->cols.kernel == 1 ? 0 : p->cols.dilation * p->in_channels;
    const int down = p->cols.kernel == 1 ? 1 : 0;
    const int8_t *x0 = rows[0] + first;
    const int8_t *x1 = rows[down] + first + across;
    const int8_t *x2 = rows[2 * down] + first + 2 * across;
    const int32_t w0 = p->weights[oc];
    const int32_t w1 = p->weights[channels + oc];
    const int32_t w2 = p->weights[2 * channels + oc];
    const tn_channel channel = p->channels[oc];
    const tn_output_s8 limits = p->output;
    for (; count > 0; --count, x0 += step, x1 += step, x2 += step, out += channels) {
        *out = tn_scale_s8(&channel, channel.bias + *x0 * w0 + *x1 * w1 + *x2 * w2, &limits);
    }
}

/* The same for any number of taps. */
static void many_taps(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int first, int oc, int count,
                      int8_t *out)
{
    const int channels = p->in_channels * p->depth_multiplier;
    const int step = p->cols.stride * p->in_channels;
    const int across = p->cols.dilation * p->in_channels;
    const int height = p->rows.kernel;
    const int width = p->cols.kernel;
    const tn_channel channel = p->channels[oc];
    const tn_output_s8 limits = p->output;
    for (; count > 0; --count, first += step, out += channels) {
        int32_t acc = channel.bias;
        const int8_t *w = p->weights + oc;
        for (int r = 0; width == 1 && r < height; ++r, w += channels) {
            acc += (int32_t)rows[r][first] * *w;
        }
        for (int r = 0; width > 1 && r < height; ++r) {
            const int8_t *x = rows[r] + first;
            for (int tap = width; tap > 0; --tap, x += across, w += channels) {
                acc += (int32_t)*x * *w;
            }
        }
        *out = tn_scale_s8(&channel, acc, &limits);
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

static void border_column(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int left, int channels,
                          int8_t *out)
{
    for (int i = 0; i < channels; ++i) {
        const tn_channel *channel = &p->channels[i];
        const int32_t sum = border_sum(p, rows, left, i / p->depth_multiplier, p->weights + i, channels);
        out[i] = tn_scale_s8(channel, channel->bias + sum, &p->output);
    }
}

static void border(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int from, int to, int8_t *out)
{
    const int channels = p->in_channels * p->depth_multiplier;
    for (int x = from; x < to; ++x) {
        border_column(p, rows, x * p->cols.stride - p->cols.pad, channels, out + (size_t)x * (size_t)channels);
    }
}

/* Channel by channel, so that its constants stay in registers along the row. */
TN_HOT void tn_depthwise_conv2d_s8_row(const tn_depthwise_conv2d_s8 *p, const int8_t *const *rows, int8_t *out)
{
    const span inner = inner_span(p, rows);
    const int channels = p->in_channels * p->depth_multiplier;
    const int count = inner.end - inner.first;
    const int left = (inner.first * p->cols.stride - p->cols.pad) * p->in_channels;
    const int taps = p->rows.kernel * p->cols.kernel;
    const int few = taps == FEW_TAPS && (p->rows.kernel == 1 || p->cols.kernel == 1);
    int8_t *start = out + (size_t)inner.first * (size_t)channels;

    border(p, rows, 0, inner.first, out);
    border(p, rows, inner.end, p->cols.out, out);
    for (int oc = 0, ic = 0, repeat = 0; count > 0 && oc < channels; ++oc) {
        if (few != 0) {
            few_taps(p, rows, left + ic, oc, count, start + oc);
        } else {
            many_taps(p, rows, left + ic, oc, count, start + oc);
        }
        if (++repeat == p->depth_multiplier) {
            repeat = 0;
            ++ic;
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
