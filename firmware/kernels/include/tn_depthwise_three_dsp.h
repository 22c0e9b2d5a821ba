/* Depthwise windows three columns wide for the DSP extension: three pixels at once, so that neighbours share what their
 * windows have in common. Two of every four channels at a time keep everything in registers. */
#ifndef TN_DEPTHWISE_THREE_DSP_H
#define TN_DEPTHWISE_THREE_DSP_H

#include "tn_dsp_four.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Accumulators of two channels of three pixels, and the weights of a row of the window for both. */
typedef struct {
    int32_t low0;
    int32_t low1;
    int32_t low2;
    int32_t high0;
    int32_t high1;
    int32_t high2;
    uint32_t left;
    uint32_t middle;
    uint32_t right;
} tn_depthwise_three;

/* acc += codes * weights in one of the lanes, in this order: GCC would load ahead, for want of registers. */
TN_INLINE void tn_three_multiply(int32_t *low, int32_t *high, uint32_t codes, uint32_t weights)
{
#if TN_HAS_DSP
    __asm__ volatile("smlabb %0, %2, %3, %0\n\tsmlatt %1, %2, %3, %1"
                     : "+&r"(*low), "+&r"(*high)
                     : "r"(codes), "r"(weights));
#else
    *low = tn_mac_low(*low, codes, weights);
    *high = tn_mac_high(*high, codes, weights);
#endif
}

/* Two of the four codes at `x`: 0 and 2, or 1 and 3 if `odd`. */
TN_INLINE uint32_t tn_three_codes(const int8_t *x, int odd)
{
    const uint32_t codes = tn_load4(x);
    return odd != 0 ? tn_odd_bytes(codes) : tn_even_bytes(codes);
}

/* The product of one column with one pixel's window, `tap` columns from its left; nothing outside the window. */
TN_INLINE void tn_three_tap(tn_depthwise_three *t, int32_t *low, int32_t *high, uint32_t codes, int tap)
{
    if (tap == 0) {
        tn_three_multiply(low, high, codes, t->left);
    } else if (tap == 1) {
        tn_three_multiply(low, high, codes, t->middle);
    } else if (tap == 2) {
        tn_three_multiply(low, high, codes, t->right);
    } else {
        /* the window does not reach this column */
    }
}

/* One column of a row under all three pixels. */
TN_INLINE void tn_three_column(tn_depthwise_three *t, const int8_t *x, int column, int stride, int channels, int odd)
{
    if (column < 3 + 2 * stride) {
        const uint32_t codes = tn_three_codes(x + column * channels, odd);
        tn_three_tap(t, &t->low0, &t->high0, codes, column);
        tn_three_tap(t, &t->low1, &t->high1, codes, column - stride);
        tn_three_tap(t, &t->low2, &t->high2, codes, column - 2 * stride);
    }
}

/* Two channels: `table` is that of their four, `words` the constants per channel of the form. */
TN_INLINE void tn_three_pair(const tn_dsp_form *form, const int8_t *const *rows, int height, int stride, int channels,
                             const uint32_t *table, int odd, size_t at, int8_t *out)
{
    tn_depthwise_three t;
    const int32_t low = (int32_t)table[odd];
    const int32_t high = (int32_t)table[odd + 2];
    const uint32_t *w = table + 4 + odd;
    t.low0 = low;
    t.low1 = low;
    t.low2 = low;
    t.high0 = high;
    t.high1 = high;
    t.high2 = high;
    TN_UNROLL_3
    for (int r = 0; r < height; ++r, w += 6) {
        const int8_t *x = rows[r] + at;
        t.left = w[0];
        t.middle = w[2];
        t.right = w[4];
        tn_three_column(&t, x, 0, stride, channels, odd);
        tn_three_column(&t, x, 1, stride, channels, odd);
        tn_three_column(&t, x, 2, stride, channels, odd);
        tn_three_column(&t, x, 3, stride, channels, odd);
        tn_three_column(&t, x, 4, stride, channels, odd);
        tn_three_column(&t, x, 5, stride, channels, odd);
        tn_three_column(&t, x, 6, stride, channels, odd);
    }
    const uint32_t *words = table + 4 + 6 * height;
    if (form->kind == TN_DSP_RISING) {
        words += 2 * odd;
        const uint32_t low_multiplier = words[0];
        const uint32_t low_offset = words[1];
        const uint32_t high_multiplier = words[4];
        const uint32_t high_offset = words[5];
        out[0] = tn_form_shared(form, t.low0, low_multiplier, low_offset);
        out[channels] = tn_form_shared(form, t.low1, low_multiplier, low_offset);
        out[2 * channels] = tn_form_shared(form, t.low2, low_multiplier, low_offset);
        out[2] = tn_form_shared(form, t.high0, high_multiplier, high_offset);
        out[channels + 2] = tn_form_shared(form, t.high1, high_multiplier, high_offset);
        out[2 * channels + 2] = tn_form_shared(form, t.high2, high_multiplier, high_offset);
    } else {
        words += 4 * odd;
        (void)tn_form_signed(form, t.low0, words, out);
        (void)tn_form_signed(form, t.low1, words, out + channels);
        (void)tn_form_signed(form, t.low2, words, out + 2 * channels);
        (void)tn_form_signed(form, t.high0, words + 8, out + 2);
        (void)tn_form_signed(form, t.high1, words + 8, out + channels + 2);
        (void)tn_form_signed(form, t.high2, words + 8, out + 2 * channels + 2);
    }
}

/* All channels of three pixels beside each other; rows: addresses under the first of them. */
TN_INLINE void tn_depthwise_three_pixels(const tn_dsp_form *form, const int8_t *const *rows, int height, int stride,
                                         int channels, const uint32_t *table, int8_t *out)
{
    const int words = form->kind == TN_DSP_RISING ? 2 : 4;
    for (int from = 0; from < channels; from += 4, table += 4 + 6 * height + 4 * words) {
        const int at = channels % 4 != 0 && from + 4 > channels ? channels - 4 : from;
        tn_three_pair(form, rows, height, stride, channels, table, 0, (size_t)at, out + at);
        tn_three_pair(form, rows, height, stride, channels, table, 1, (size_t)at, out + at + 1);
    }
}

#ifdef __cplusplus
}
#endif
#endif
