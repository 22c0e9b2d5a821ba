#include "tn_conv2d_s8.h"

/* Output channels that share one read of the input. */
#define BLOCK 4

/* acc[b] += sum over i of x[i] * w[b * filter + i], for BLOCK filters at once. */
static inline void dot_block(int32_t acc[BLOCK], const int8_t *x, const int8_t *w, int filter, int count)
{
    const int8_t *w1 = w + filter;
    const int8_t *w2 = w1 + filter;
    const int8_t *w3 = w2 + filter;
    for (int i = 0; i < count; ++i) {
        const int32_t v = x[i];
        acc[0] += v * w[i];
        acc[1] += v * w1[i];
        acc[2] += v * w2[i];
        acc[3] += v * w3[i];
    }
}

/* A pixel whose window lies inside the input: `first` is the code under the first tap of a row. */
static inline void inner_pixel(const tn_conv2d_s8 *p, const int8_t *const *rows, int first, int8_t *out)
{
    /* Without dilation the taps of a row lie side by side: one long dot product instead of several. */
    const int taps = p->cols.dilation == 1 ? 1 : p->cols.kernel;
    const int run = p->cols.dilation == 1 ? p->cols.kernel * p->in_channels : p->in_channels;
    const int step = p->cols.dilation * p->in_channels;
    const int filter = p->rows.kernel * p->cols.kernel * p->in_channels;
    const tn_output_s8 limits = p->output;
    const tn_channel *channel = p->channels;
    const tn_channel *end = channel + p->out_channels;
    const int8_t *w = p->weights;

    for (; end - channel >= BLOCK; channel += BLOCK, w += BLOCK * filter) {
        int32_t acc[BLOCK] = {channel[0].bias, channel[1].bias, channel[2].bias, channel[3].bias};
        const int8_t *wr = w;
        for (int r = 0; r < p->rows.kernel; ++r) {
            const int8_t *x = rows[r] + first;
            for (int tap = 0; tap < taps; ++tap, x += step, wr += run) {
                dot_block(acc, x, wr, filter, run);
            }
        }
        *out++ = tn_scale_s8(&channel[0], acc[0], &limits);
        *out++ = tn_scale_s8(&channel[1], acc[1], &limits);
        *out++ = tn_scale_s8(&channel[2], acc[2], &limits);
        *out++ = tn_scale_s8(&channel[3], acc[3], &limits);
    }
    for (; channel < end; ++channel) {
        int32_t acc = channel->bias;
        for (int r = 0; r < p->rows.kernel; ++r) {
            const int8_t *x = rows[r] + first;
            for (int tap = 0; tap < taps; ++tap, x += step) {
                for (int i = 0; i < run; ++i) {
                    acc += (int32_t)x[i] * *w++;
                }
            }
        }
        *out++ = tn_scale_s8(channel, acc, &limits);
    }
}

/* A pixel whose window reaches into the padding: taps outside the input read the zero point. */
static void border_pixel(const tn_conv2d_s8 *p, const int8_t *const *rows, int left, int8_t *out)
{
    const int8_t *w = p->weights;
    for (int channel = 0; channel < p->out_channels; ++channel) {
        int32_t acc = p->channels[channel].bias;
        for (int r = 0; r < p->rows.kernel; ++r) {
            int col = left;
            for (int tap = 0; tap < p->cols.kernel; ++tap, col += p->cols.dilation) {
                const int outside = rows[r] == NULL || col < 0 || col >= p->cols.in;
                const int8_t *x = outside ? &p->in_zero_point : rows[r] + (size_t)col * p->in_channels;
                const int step = outside ? 0 : 1;
                for (int i = 0; i < p->in_channels; ++i, x += step) {
                    acc += (int32_t)*x * *w++;
                }
            }
        }
        out[channel] = tn_scale_s8(&p->channels[channel], acc, &p->output);
    }
}

TN_HOT void tn_conv2d_s8_row(const tn_conv2d_s8 *p, const int8_t *const *rows, int8_t *out)
{
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    int whole = 1;
    for (int r = 0; r < p->rows.kernel; ++r) {
        whole = whole && rows[r] != NULL;
    }
    int left = -(int)p->cols.pad;
    for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride, out += p->out_channels) {
        if (whole && left >= 0 && left + reach < p->cols.in) {
            inner_pixel(p, rows, left * p->in_channels, out);
        } else {
            border_pixel(p, rows, left, out);
        }
    }
}

TN_HOT void tn_conv2d_s8_run(const tn_conv2d_s8 *p, const int8_t **rows, const int8_t *in, int8_t *out)
{
    const size_t in_row = (size_t)p->cols.in * p->in_channels;
    const size_t out_row = (size_t)p->cols.out * p->out_channels;
    for (int y = 0; y < p->rows.out; ++y, out += out_row) {
        tn_window_rows(&p->rows, in, in_row, y, rows);
        tn_conv2d_s8_row(p, rows, out);
    }
}
