/* CONV_2D and FULLY_CONNECTED for the DSP extension, alone or with a max-pooling of two behind it.
 *
 * The codes under a pixel are gathered as 16-bit lanes, of two pixels at a time. With pooling these are the two that one
 * output compares, and only the larger accumulator is requantized: requantization never decreases. */
#ifndef TN_CONV2D_S8_DSP_H
#define TN_CONV2D_S8_DSP_H

#include "tn_conv2d_dsp_gather.h"
#include "tn_conv2d_dsp_pairs.h"
#include "tn_conv2d_dsp_short.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zeros behind the codes of two pixels: their weights are zero. */
TN_INLINE void tn_conv2d_clear(const tn_conv2d_s8_dsp *p, uint32_t *columns, int8_t *codes)
{
    for (int i = tn_conv2d_used(p); p->is_short == 0 && i < p->depth; ++i) {
        if (p->in_channels % 4 != 0) {
            codes[i] = 0;
        } else {
            columns[i] = 0;
        }
    }
}

/* Gather one of two pixels. */
TN_INLINE void tn_conv2d_take(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, unsigned slot,
                              uint32_t *columns, int8_t *codes)
{
    if (p->is_short != 0) {
        tn_conv2d_short_gather(p, rows, left, columns + slot * (p->depth / 2u));
    } else {
        tn_conv2d_gather(p, rows, left, columns + slot, 2, codes);
    }
}

/* All channels of two gathered pixels, to `out`. The second pixel's channels lie `step` codes behind, unless both are
 * pooled; a step of 0 leaves them out. */
TN_INLINE void tn_conv2d_two_pixels(const tn_conv2d_s8_dsp *p, uint32_t *columns, int8_t *out, int step)
{
    if (p->is_short == 0) {
        tn_conv2d_pixels(p, 2, columns, out, step);
        return;
    }
    if (p->pool != TN_POOL_NONE) {
        tn_conv2d_short_differences(p, columns);
    }
    tn_conv2d_short(p, columns, out, step);
}

/* Gather two pixels. */
TN_INLINE void tn_conv2d_take_two(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left,
                                  const int8_t *const *second_rows, int second_left, uint32_t *columns, int8_t *codes)
{
    if (p->is_short != 0 || p->taps * p->cols.kernel == 1) {
        tn_conv2d_take(p, rows, left, 0, columns, codes);
        tn_conv2d_take(p, second_rows, second_left, 1, columns, codes);
        return;
    }
    for (unsigned slot = 0; slot < 2u; ++slot) { /* not written out: this is most of the code */
        tn_conv2d_take(p, slot == 0u ? rows : second_rows, slot == 0u ? left : second_left, slot, columns, codes);
    }
}

/* One pixel without a partner. */
TN_INLINE void tn_conv2d_lone(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, int8_t *out,
                              uint32_t *columns, int8_t *codes)
{
    tn_conv2d_gather(p, rows, left, columns, 1, codes);
    if (p->in_channels % 4 == 0) {
        for (int i = tn_conv2d_used(p) / 2; i < p->depth / 2; ++i) {
            columns[i] = 0;
        }
    }
    tn_conv2d_pixels(p, 1, columns, out, 0);
}

/* Output row `y`.
 * rows: rows.kernel pointers to input rows; for a row of padding `border`, which may be NULL.
 * columns: `depth` words. codes: `depth` codes where they are needed, see tn_conv2d_gather.
 * out: out_cols * out_channels codes; must not overlap the input. */
TN_INLINE void tn_conv2d_s8_dsp_row(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, unsigned y, int8_t *out,
                                    uint32_t *columns, int8_t *codes)
{
    const int by_rows = p->pool == TN_POOL_ROWS;
    const int across = by_rows ? 1 : 2;
    const int below = p->conv_rows % 2 == 0 || 2 * (int)y + 1 < p->conv_rows;
    int left = -(int)p->cols.pad;
    tn_conv2d_clear(p, columns, codes);
    for (int x = 0; x < p->cols.out; x += across, left += across * p->cols.stride) {
        /* What has no partner is its own: pooled with itself, or stored once. */
        const int two = by_rows ? below : p->cols.out % 2 == 0 || x + 1 < p->cols.out;
        const int step = p->pool == TN_POOL_NONE && two != 0 ? p->out_channels : 0;
        if (two == 0 && p->lone != 0) {
            tn_conv2d_lone(p, rows, left, out, columns, codes);
        } else {
            tn_conv2d_take_two(p, rows, left, by_rows && two != 0 ? rows + p->row_distance : rows,
                               by_rows || two == 0 ? left : left + p->cols.stride, columns, codes);
            tn_conv2d_two_pixels(p, columns, out, step);
        }
        out += p->out_channels + step;
    }
}

/* Two output rows of one pixel each, the second `step` bytes behind the first; with a step of 0 the first alone.
 * rows: rows.kernel pointers to the input rows under both; see tn_conv2d_s8_dsp_row. */
TN_INLINE void tn_conv2d_s8_dsp_two(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int8_t *out, int step,
                                    uint32_t *columns, int8_t *codes)
{
    const int left = -(int)p->cols.pad;
    tn_conv2d_clear(p, columns, codes);
    tn_conv2d_take_two(p, rows, left, step != 0 ? rows + p->row_distance : rows, left, columns, codes);
    tn_conv2d_two_pixels(p, columns, out, step);
}

/* Every pixel of a tensor whose rows are odd, two by two across the ends of rows. */
TN_INLINE void tn_conv2d_all_pixels(const tn_conv2d_s8_dsp *p, const int8_t **rows, const int8_t *in, int8_t *out,
                                    uint32_t *columns, int8_t *codes)
{
    unsigned slot = 0;
    tn_conv2d_clear(p, columns, codes);
    for (unsigned y = 0; y < p->rows.out; ++y) {
        int left = -(int)p->cols.pad;
        tn_border_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, (int)y, p->border, rows);
        for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride) {
            tn_conv2d_take(p, rows, left, slot, columns, codes);
            const int last = x == p->cols.out - 1 && y == p->rows.out - 1u;
            if (slot != 0 || last) {
                tn_conv2d_two_pixels(p, columns, out, slot != 0 ? p->out_channels : 0);
                out += 2 * p->out_channels;
            }
            slot ^= 1u;
        }
    }
}

/* The whole tensor. rows: scratch for rows.kernel pointers. */
TN_INLINE void tn_conv2d_s8_dsp_run(const tn_conv2d_s8_dsp *p, const int8_t **rows, const int8_t *in, int8_t *out,
                                    uint32_t *columns, int8_t *codes)
{
    if (p->pool == TN_POOL_NONE && p->cols.out % 2 != 0 && p->rows.out > 1) {
        tn_conv2d_all_pixels(p, rows, in, out, columns, codes);
        return;
    }
    for (unsigned y = 0; y < p->rows.out; ++y, out += (size_t)p->out_cols * p->out_channels) {
        tn_border_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, (int)y, p->border, rows);
        tn_conv2d_s8_dsp_row(p, rows, y, out, columns, codes);
    }
}

/* `groups` convolutions of one input channel each, of one pixel: the codes under it lie `distance` apart. Their records
 * follow each other, `words` long. Arguments otherwise as for tn_conv2d_s8_dsp_row. */
TN_INLINE void tn_conv2d_s8_dsp_groups(const tn_conv2d_s8_dsp *p, const int8_t *in, int8_t *out, uint32_t *columns,
                                       int8_t *codes, int groups, int words, int distance)
{
    tn_conv2d_s8_dsp one = *p;
    tn_conv2d_clear(p, columns, codes);
    for (int i = 0; i < groups; ++i, one.records += words, out += p->out_channels) {
        for (int tap = 0; tap < p->taps; ++tap) {
            codes[tap] = in[tap * distance + i];
        }
        (void)tn_conv2d_widen(codes, p->depth, columns, 1);
        tn_conv2d_pixels(&one, 1, columns, out, 0);
    }
}

/* The same with pointers to rows as for tn_conv2d_s8_dsp_row; `line` codes are in one row. */
TN_INLINE void tn_conv2d_s8_dsp_group_rows(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int8_t *out,
                                           uint32_t *columns, int8_t *codes, int groups, int words, int distance,
                                           int line)
{
    tn_conv2d_s8_dsp one = *p;
    tn_conv2d_clear(p, columns, codes);
    for (int i = 0; i < groups; ++i, one.records += words, out += p->out_channels) {
        for (int tap = 0; tap < p->taps; ++tap) {
            codes[tap] = rows[tap / line][tap % line * distance + i];
        }
        (void)tn_conv2d_widen(codes, p->depth, columns, 1);
        tn_conv2d_pixels(&one, 1, columns, out, 0);
    }
}

#ifdef __cplusplus
}
#endif
#endif
