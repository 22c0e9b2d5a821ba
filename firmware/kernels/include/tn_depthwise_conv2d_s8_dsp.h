/* DEPTHWISE_CONV_2D for the DSP extension: depth multiplier 1, four channels or more.
 *
 * Four channels of a tap are one load; where channels are no multiple of four, the last four overlap the ones before. Pixels whose windows lie inside the input follow each other without any search
 * for their taps; at the borders the taps of a pixel are found first, in a list. Everything that four channels need
 * comes from one table, in the order in which it is needed. */
#ifndef TN_DEPTHWISE_CONV2D_S8_DSP_H
#define TN_DEPTHWISE_CONV2D_S8_DSP_H

#include "tn_depthwise_three_dsp.h"
#include "tn_dsp_four.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Taps whose addresses fit into registers. */
#define TN_DEPTHWISE_FEW 3
/* Channels with which all columns under three pixels are within reach of one address. */
#define TN_DEPTHWISE_REACH 512

typedef struct {
    tn_axis rows;
    tn_axis cols;
    uint16_t channels;
    int8_t in_zero_point; /* the value that padding has */
    tn_dsp_form form;
    /* per four channels: their biases, unless they are packed; per tap the lanes {0, 2} and {1, 3}; constants of `form` */
    const uint32_t *table;
    const int8_t *border; /* a row of padding, or NULL: rows are then checked */
} tn_depthwise_conv2d_s8_dsp;

/* Point `taps` at the first channel under each tap of the window that begins at column `left`. */
TN_INLINE void tn_depthwise_taps(const tn_depthwise_conv2d_s8_dsp *p, const int8_t *const *rows, int left,
                                 const int8_t *padding, const int8_t **taps)
{
    for (int r = 0; r < p->rows.kernel; ++r) {
        const int8_t *row = rows[r];
        for (int i = 0, col = left; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int inside = row != NULL && col >= 0 && col < p->cols.in;
            *taps++ = inside != 0 ? row + col * p->channels : padding;
        }
    }
}

/* `pixels` outputs beside each other; taps: addresses under the first of them. */
TN_INLINE void tn_depthwise_few(const tn_depthwise_conv2d_s8_dsp *p, int count, const int8_t *const *taps, int pixels,
                                int8_t *out)
{
    const int skip = (p->cols.stride - 1) * p->channels;
    const int overlap = (4 - p->channels % 4) % 4;
    const int8_t *x0 = taps[0];
    const int8_t *x1 = taps[count > 1 ? 1 : 0];
    const int8_t *x2 = taps[count > 2 ? 2 : 0];
    for (; pixels > 0; --pixels) {
        const uint32_t *table = p->table;
        const int8_t *const end = out + p->channels;
        do {
            tn_dsp_four acc;
            if (overlap != 0 && end - out < 4) {
                x0 -= overlap;
                x1 -= overlap;
                x2 -= overlap;
                out -= overlap;
            }
            table = tn_four_begin(&p->form, &acc, table);
            table = tn_four_next_tap(&acc, &x0, table);
            if (count > 1) {
                table = tn_four_next_tap(&acc, &x1, table);
            }
            if (count > 2) {
                table = tn_four_next_tap(&acc, &x2, table);
            }
            table = tn_four_store(&p->form, &acc, table, out);
            out += 4;
        } while (out != end);
        x0 += skip;
        x1 += skip;
        x2 += skip;
    }
}

/* The same for any number of taps. */
TN_INLINE void tn_depthwise_many(const tn_depthwise_conv2d_s8_dsp *p, int count, const int8_t *const *taps, int pixels,
                                 int8_t *out)
{
    const int skip = (p->cols.stride - 1) * p->channels;
    const int overlap = (4 - p->channels % 4) % 4;
    size_t at = 0;
    for (; pixels > 0; --pixels, at += (size_t)skip) {
        const uint32_t *table = p->table;
        const int8_t *const end = out + p->channels;
        do {
            tn_dsp_four acc;
            if (overlap != 0 && end - out < 4) {
                at -= (size_t)overlap;
                out -= overlap;
            }
            table = tn_four_begin(&p->form, &acc, table);
            TN_UNROLL_9
            for (int tap = 0; tap < count; ++tap) {
                table = tn_four_tap(&acc, &taps[tap], at, table);
            }
            table = tn_four_store(&p->form, &acc, table, out);
            at += 4;
            out += 4;
        } while (out != end);
    }
}

TN_INLINE void tn_depthwise_pixels(const tn_depthwise_conv2d_s8_dsp *p, const int8_t *const *taps, int pixels,
                                   int8_t *out)
{
    const int count = p->rows.kernel * p->cols.kernel;
    if (count <= TN_DEPTHWISE_FEW) {
        tn_depthwise_few(p, count, taps, pixels, out);
    } else {
        tn_depthwise_many(p, count, taps, pixels, out);
    }
}

/* Whether windows are one column wide and lie beside each other, as many as columns: pixels follow without a border. */
TN_INLINE int tn_depthwise_is_flat(const tn_depthwise_conv2d_s8_dsp *p)
{
    return p->cols.kernel == 1 && p->cols.stride == 1 && p->cols.pad == 0;
}

/* Output columns from `first` to before `end` whose windows lie inside the input. */
typedef struct {
    int first;
    int end;
} tn_depthwise_span;

TN_INLINE tn_depthwise_span tn_depthwise_inner(const tn_depthwise_conv2d_s8_dsp *p, const int8_t *const *rows)
{
    const int room = p->cols.in - (p->cols.kernel - 1) * p->cols.dilation + p->cols.pad;
    tn_depthwise_span inner = {(p->cols.pad + p->cols.stride - 1) / p->cols.stride, 0};
    inner.end = room > 0 ? (room - 1) / p->cols.stride + 1 : 0;
    inner.end = inner.end < p->cols.out ? inner.end : p->cols.out;
    for (int r = 0; r < p->rows.kernel; ++r) {
        if (tn_rows_missing(&p->rows, p->border) != 0 && rows[r] == NULL) {
            inner.end = 0;
        }
    }
    inner.first = inner.first < inner.end ? inner.first : inner.end;
    return inner;
}

/* Whether windows suit tn_depthwise_three_pixels. */
TN_INLINE int tn_depthwise_is_three(const tn_depthwise_conv2d_s8_dsp *p)
{
    return p->cols.kernel == 3 && p->cols.dilation == 1 && p->cols.stride <= 2 && p->rows.kernel > 1 &&
           p->channels <= TN_DEPTHWISE_REACH && p->form.kind <= TN_DSP_SIGNED;
}

/* Pixels by threes as far as windows of the row lie inside the input. Gives the column behind them. */
TN_INLINE int tn_depthwise_threes(const tn_depthwise_conv2d_s8_dsp *p, const int8_t *const *rows, int x, int end,
                                  int8_t *out, const int8_t **taps)
{
    for (; end - x >= 3; x += 3, out += 3 * p->channels) {
        for (int r = 0; r < p->rows.kernel; ++r) {
            taps[r] = rows[r] + (x * p->cols.stride - p->cols.pad) * p->channels;
        }
        tn_depthwise_three_pixels(&p->form, taps, p->rows.kernel, p->cols.stride, p->channels, p->table, out);
    }
    return x;
}

/* Output row; arguments as for tn_depthwise_conv2d_s8_row, but that `border` stands for padding where there is one.
 * scratch: `channels` codes. taps: scratch for rows.kernel * cols.kernel pointers. */
TN_INLINE void tn_depthwise_conv2d_s8_dsp_row(const tn_depthwise_conv2d_s8_dsp *p, const int8_t *const *rows,
                                              int8_t *out, int8_t *scratch, const int8_t **taps)
{
    if (tn_depthwise_is_flat(p) != 0 &&
        (tn_rows_missing(&p->rows, p->border) == 0 || tn_depthwise_inner(p, rows).end > 0)) {
        tn_depthwise_pixels(p, rows, p->cols.out, out);
        return;
    }
    const tn_depthwise_span inner = tn_depthwise_inner(p, rows);
    if (inner.first > 0 || inner.end < p->cols.out) {
        (void)memset(scratch, p->in_zero_point, p->channels);
    }
    int x = 0;
    while (x < p->cols.out) {
        if (tn_depthwise_is_three(p) != 0 && x >= inner.first && inner.end - x >= 3) {
            const int behind = tn_depthwise_threes(p, rows, x, inner.end, out, taps);
            out += (behind - x) * p->channels;
            x = behind;
            continue;
        }
        const int pixels = x >= inner.first && inner.end > x ? inner.end - x : 1;
        tn_depthwise_taps(p, rows, x * p->cols.stride - p->cols.pad, scratch, taps);
        tn_depthwise_pixels(p, taps, pixels, out);
        out += pixels * p->channels;
        x += pixels;
    }
}

/* The whole tensor, row after row. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_depthwise_conv2d_s8_dsp_run(const tn_depthwise_conv2d_s8_dsp *p, const int8_t **rows,
                                              const int8_t *in, int8_t *out, int8_t *scratch, const int8_t **taps)
{
    for (int y = 0; y < p->rows.out; ++y, out += (size_t)p->cols.out * p->channels) {
        tn_border_rows(&p->rows, in, (size_t)p->cols.in * p->channels, y, p->border, rows);
        tn_depthwise_conv2d_s8_dsp_row(p, rows, out, scratch, taps);
    }
}

#ifdef __cplusplus
}
#endif
#endif
