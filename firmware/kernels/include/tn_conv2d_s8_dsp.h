/* CONV_2D and FULLY_CONNECTED for the DSP extension, alone or with a max-pooling of two behind it.
 *
 * The codes under a pixel are gathered as 16-bit lanes; two pixels by two output channels then share every load and
 * every widening. With pooling the two pixels are those that one output compares, and only the larger accumulator is
 * requantized: requantization never decreases.
 *
 * Weights of two channels lie in one word of lanes 256 * b + a. Multiplying by the lanes themselves and by their low
 * bytes gives 256 * B + A and A, so that one SXTB16 serves two channels: 12 instructions for 16 multiply-accumulates.
 * The sum may wrap; (256 * B + A - A) / 256 is B all the same, because the compiler knows |B| < 2^23. */
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
    uint16_t depth;        /* lanes under one filter: its codes, padded to a multiple of 4, of 8 with `lone` */
    uint8_t unroll;        /* a divisor of depth / 4: the inner loop takes four times as many lanes at once */
    uint8_t pool;
    uint8_t lone;          /* pixels without a partner are taken alone, not twice */
    uint8_t bytes;         /* weights lie as bytes a, b instead of lanes 256 * b + a */
    int8_t in_zero_point;
    tn_dsp_rounding rounding;
    /* For every two output channels a, b: bias of a, of 256 * b + a (of b with `bytes`); weights, two codes a word in
     * the order 0 2, 1 3 of each four; multiplier and addend of a, of b; with TN_DSP_EACH shift of a, of b. The last
     * channel's partner is itself when they are odd in number. */
    const uint32_t *records;
} tn_conv2d_s8_dsp;

/* Sums of two channels a, b over pixels 0 and 1; `l` is 256 * b + a, or b. */
typedef struct {
    int32_t a0, l0, a1, l1;
} tn_conv2d_sums;

/* The next two words of a record. */
TN_INLINE const uint32_t *tn_load_two(const uint32_t *w, int32_t *first, int32_t *second)
{
#if TN_HAS_DSP_BLOCKS
    __asm__ volatile("ldrd %0, %1, [%2], #8" : "=&r"(*first), "=&r"(*second), "+r"(w) : : "memory");
    return w;
#else
    *first = (int32_t)w[0];
    *second = (int32_t)w[1];
    return w + 2;
#endif
}

/* Sums start at the biases. */
TN_INLINE const uint32_t *tn_conv2d_start(const uint32_t *w, int pixels, tn_conv2d_sums *sums)
{
#if TN_HAS_DSP_BLOCKS
    if (pixels == 2) {
        __asm__ volatile("ldrd %0, %1, [%2]" : "=&r"(sums->a1), "=&r"(sums->l1) : "r"(w) : "memory");
    }
#else
    if (pixels == 2) {
        (void)tn_load_two(w, &sums->a1, &sums->l1);
    }
#endif
    return tn_load_two(w, &sums->a0, &sums->l0);
}

/* --- the inner loop ------------------------------------------------------------------------------------------ */

/* Two lanes of one pixel by two channels. */
TN_INLINE void tn_conv2d_two(int32_t *a, int32_t *l, uint32_t x, uint32_t weights, int bytes)
{
    *a = tn_mac2_wrap(*a, x, tn_even_bytes(weights));
    *l = tn_mac2_wrap(*l, x, bytes != 0 ? tn_odd_bytes(weights) : weights);
}

/* Four lanes of two pixels, x = {0 of the first, of the second, 1 of the first, of the second}. */
TN_INLINE void tn_conv2d_pair_four(tn_conv2d_sums *sums, const uint32_t **x, const uint32_t **w, int bytes)
{
#if TN_HAS_DSP_BLOCKS
    if (bytes == 0) {
        uint32_t w0;
        uint32_t w1;
        __asm__ volatile("ldrd %[w0], %[w1], [%[w]], #8\n\t"
                         "ldmia %[x]!, {r4, r5, r6, r8}\n\t"
                         "smlad %[l0], r4, %[w0], %[l0]\n\t"
                         "smlad %[l1], r5, %[w0], %[l1]\n\t"
                         "sxtb16 %[w0], %[w0]\n\t"
                         "smlad %[l0], r6, %[w1], %[l0]\n\t"
                         "smlad %[l1], r8, %[w1], %[l1]\n\t"
                         "sxtb16 %[w1], %[w1]\n\t"
                         "smlad %[a0], r4, %[w0], %[a0]\n\t"
                         "smlad %[a1], r5, %[w0], %[a1]\n\t"
                         "smlad %[a0], r6, %[w1], %[a0]\n\t"
                         "smlad %[a1], r8, %[w1], %[a1]\n\t"
                         : [a0] "+r"(sums->a0), [a1] "+r"(sums->a1), [l0] "+r"(sums->l0), [l1] "+r"(sums->l1),
                           [x] "+r"(*x), [w] "+r"(*w), [w0] "=&r"(w0), [w1] "=&r"(w1)
                         :
                         : "r4", "r5", "r6", "r8", "memory");
        return;
    }
#endif
    for (int i = 0; i < 2; ++i) {
        tn_conv2d_two(&sums->a0, &sums->l0, (*x)[0], **w, bytes);
        tn_conv2d_two(&sums->a1, &sums->l1, (*x)[1], **w, bytes);
        *x += 2;
        *w += 1;
    }
}

/* Eight lanes of one pixel. */
TN_INLINE void tn_conv2d_lone_eight(tn_conv2d_sums *sums, const uint32_t **x, const uint32_t **w, int bytes)
{
#if TN_HAS_DSP_BLOCKS
    if (bytes == 0) {
        __asm__ volatile("ldmia %[x]!, {r2, r3, r4, r5}\n\t"
                         "ldmia %[w]!, {r6, r8, r9, r10}\n\t"
                         "smlad %[l], r2, r6, %[l]\n\t"
                         "sxtb16 r6, r6\n\t"
                         "smlad %[l], r3, r8, %[l]\n\t"
                         "sxtb16 r8, r8\n\t"
                         "smlad %[l], r4, r9, %[l]\n\t"
                         "sxtb16 r9, r9\n\t"
                         "smlad %[l], r5, r10, %[l]\n\t"
                         "sxtb16 r10, r10\n\t"
                         "smlad %[a], r2, r6, %[a]\n\t"
                         "smlad %[a], r3, r8, %[a]\n\t"
                         "smlad %[a], r4, r9, %[a]\n\t"
                         "smlad %[a], r5, r10, %[a]\n\t"
                         : [a] "+r"(sums->a0), [l] "+r"(sums->l0), [x] "+r"(*x), [w] "+r"(*w)
                         :
                         : "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "memory");
        return;
    }
#endif
    for (int i = 0; i < 4; ++i) {
        tn_conv2d_two(&sums->a0, &sums->l0, *(*x)++, *(*w)++, bytes);
    }
}

TN_INLINE void tn_conv2d_some(const tn_conv2d_s8_dsp *p, int pixels, tn_conv2d_sums *sums, const uint32_t **x,
                              const uint32_t **w)
{
    if (pixels == 2) {
        tn_conv2d_pair_four(sums, x, w, p->bytes);
    } else {
        tn_conv2d_lone_eight(sums, x, w, p->bytes);
    }
}

/* One round of the inner loop: four lanes of two pixels `unroll` times, or eight of one pixel half as often. */
TN_INLINE void tn_conv2d_round(const tn_conv2d_s8_dsp *p, int pixels, tn_conv2d_sums *sums, const uint32_t **x,
                               const uint32_t **w)
{
    const int steps = pixels == 2 ? p->unroll : p->unroll / 2;
#if TN_HAS_DSP_BLOCKS
    /* Written out, because compilers leave loops around assembly alone. */
    tn_conv2d_some(p, pixels, sums, x, w);
    if (steps > 1) {
        tn_conv2d_some(p, pixels, sums, x, w);
    }
    if (steps > 2) {
        tn_conv2d_some(p, pixels, sums, x, w);
    }
    if (steps > 3) {
        tn_conv2d_some(p, pixels, sums, x, w);
    }
    if (steps > 4) {
        tn_conv2d_some(p, pixels, sums, x, w);
    }
    if (steps > 5) {
        tn_conv2d_some(p, pixels, sums, x, w);
    }
    if (steps > 6) {
        tn_conv2d_some(p, pixels, sums, x, w);
    }
    if (steps > 7) {
        tn_conv2d_some(p, pixels, sums, x, w);
    }
#else
    for (int i = 0; i < steps; ++i) {
        tn_conv2d_some(p, pixels, sums, x, w);
    }
#endif
}

/* --- channels of gathered pixels ----------------------------------------------------------------------------- */

/* Twice the sum of channel b. */
TN_INLINE int32_t tn_conv2d_doubled_b(const tn_conv2d_s8_dsp *p, int32_t a, int32_t l)
{
    return p->bytes != 0 ? l * 2 : (int32_t)((uint32_t)l - (uint32_t)a) >> 7;
}

/* All channels of two gathered pixels, or of one, to `out`. The second pixel's channels lie `step` codes behind, unless
 * both are pooled; a step of 0 leaves them out. */
TN_INLINE void tn_conv2d_pixels(const tn_conv2d_s8_dsp *p, int pixels, const uint32_t *columns, int8_t *out, int step)
{
    const uint32_t *w = p->records;
    const uint32_t *const end = columns + (pixels == 2 ? p->depth : p->depth / 2);
    const int8_t *const last = out + p->out_channels;
    do {
        tn_conv2d_sums sums;
        int32_t factor[2];
        int32_t addend[2];
        int32_t shift[2] = {0, 0};
        w = tn_conv2d_start(w, pixels, &sums);
        const uint32_t *x = columns;
        do {
            tn_conv2d_round(p, pixels, &sums, &x, &w);
        } while (p->depth != 4 * p->unroll && x != end);
        w = tn_load_two(w, &factor[0], &addend[0]);
        w = tn_load_two(w, &factor[1], &addend[1]);
        if (p->rounding.shift == TN_DSP_EACH) {
            w = tn_load_two(w, &shift[0], &shift[1]);
        }
        int32_t b0 = tn_conv2d_doubled_b(p, sums.a0, sums.l0);
        int32_t a0 = sums.a0;
        if (pixels == 2) {
            const int32_t b1 = tn_conv2d_doubled_b(p, sums.a1, sums.l1);
            if (p->pool != TN_POOL_NONE) {
                a0 = tn_larger(a0, sums.a1);
                b0 = tn_larger(b0, b1);
            } else {
                /* The second first: without a step the first pixel's code takes its place. */
                out[step] = tn_dsp_round(&p->rounding, sums.a1 * 2, factor[0], addend[0], shift[0]);
                if (p->out_channels % 2 == 0 || out + 1 != last) {
                    out[step + 1] = tn_dsp_round(&p->rounding, b1, factor[1], addend[1], shift[1]);
                }
            }
        }
        *out++ = tn_dsp_round(&p->rounding, a0 * 2, factor[0], addend[0], shift[0]);
        if (p->out_channels % 2 == 0 || out != last) {
            *out++ = tn_dsp_round(&p->rounding, b0, factor[1], addend[1], shift[1]);
        }
    } while (out != last);
}

/* --- gathering ----------------------------------------------------------------------------------------------- */

/* Widen `count` codes, a multiple of 4, to lanes; each word of them `distance` words behind the last. */
TN_INLINE uint32_t *tn_conv2d_widen(const int8_t *x, int count, uint32_t *column, int distance)
{
    const int8_t *const end = x + (count & ~7);
    if ((count & 4) != 0) {
        const uint32_t word = tn_load4(end);
        uint32_t *const last = column + (count >> 1 & ~3) * distance;
        last[0] = tn_even_bytes(word);
        last[distance] = tn_odd_bytes(word);
    }
    for (; x != end; x += 8, column += 4 * distance) {
        const uint32_t first = tn_load4(x);
        const uint32_t second = tn_load4(x + 4);
        column[0] = tn_even_bytes(first);
        column[distance] = tn_odd_bytes(first);
        column[2 * distance] = tn_even_bytes(second);
        column[3 * distance] = tn_odd_bytes(second);
    }
    return (count & 4) != 0 ? column + 2 * distance : column;
}

TN_INLINE uint32_t *tn_conv2d_fill(const tn_conv2d_s8_dsp *p, int count, uint32_t *column, int distance)
{
    const uint32_t zeros = tn_lanes(p->in_zero_point, p->in_zero_point);
    for (int i = 0; i < count; i += 2, column += distance) {
        *column = zeros;
    }
    return column;
}

/* Whether windows never reach over the left or right border. */
TN_INLINE int tn_conv2d_inside(const tn_conv2d_s8_dsp *p)
{
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    return p->cols.pad == 0 && (p->cols.out - 1) * p->cols.stride + reach < p->cols.in;
}

/* Gather a pixel whose channels are a multiple of 4: every run is widened where it lies. */
TN_INLINE void tn_conv2d_gather_words(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left,
                                      uint32_t *column, int distance)
{
    const int channels = p->in_channels;
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    for (int tap = 0; tap < p->taps; ++tap, rows += p->tap_distance) {
        const int8_t *row = *rows;
        if (row == NULL) {
            column = tn_conv2d_fill(p, p->cols.kernel * channels, column, distance);
        } else if (p->cols.dilation == 1 && (tn_conv2d_inside(p) || (left >= 0 && left + reach < p->cols.in))) {
            column = tn_conv2d_widen(row + left * channels, p->cols.kernel * channels, column, distance);
        } else {
            for (int i = 0, col = left; i < p->cols.kernel; ++i, col += p->cols.dilation) {
                column = col < 0 || col >= p->cols.in
                             ? tn_conv2d_fill(p, channels, column, distance)
                             : tn_conv2d_widen(row + col * channels, channels, column, distance);
            }
        }
    }
}

/* Gather a pixel of other channels: first its codes, one behind the other, in `codes`. */
TN_INLINE void tn_conv2d_gather_codes(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, int8_t *codes,
                                      uint32_t *column, int distance)
{
    const int channels = p->in_channels;
    const int run = p->cols.kernel * channels;
    const int reach = (p->cols.kernel - 1) * p->cols.dilation;
    int8_t *to = codes;
    for (int tap = 0; tap < p->taps; ++tap, rows += p->tap_distance) {
        const int8_t *row = *rows;
        if (row != NULL && p->cols.dilation == 1 &&
            (tn_conv2d_inside(p) || (left >= 0 && left + reach < p->cols.in))) {
            (void)memcpy(to, row + left * channels, (size_t)run);
            to += run;
            continue;
        }
        for (int i = 0, col = left; i < p->cols.kernel; ++i, col += p->cols.dilation) {
            const int8_t *from = row == NULL || col < 0 || col >= p->cols.in ? NULL : row + col * channels;
            for (int c = 0; c < channels; ++c) {
                *to++ = from == NULL ? p->in_zero_point : from[c];
            }
        }
    }
    tn_conv2d_widen(codes, p->depth, column, distance);
}

/* Gather everything under the pixel whose window begins at column `left`. codes: see tn_conv2d_s8_dsp_row. */
TN_INLINE void tn_conv2d_gather(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, uint32_t *column,
                                int distance, int8_t *codes)
{
    if (p->in_channels % 4 == 0) {
        tn_conv2d_gather_words(p, rows, left, column, distance);
    } else {
        tn_conv2d_gather_codes(p, rows, left, codes, column, distance);
    }
}

/* Codes under one filter. */
TN_INLINE int tn_conv2d_used(const tn_conv2d_s8_dsp *p)
{
    return p->taps * p->cols.kernel * p->in_channels;
}

/* Zeros behind the codes of two pixels: their weights are zero. */
TN_INLINE void tn_conv2d_clear(const tn_conv2d_s8_dsp *p, uint32_t *columns, int8_t *codes)
{
    const int used = tn_conv2d_used(p);
    if (p->in_channels % 4 != 0) {
        for (int i = used; i < p->depth; ++i) {
            codes[i] = 0;
        }
    } else {
        for (int i = used; i < p->depth; ++i) {
            columns[i] = 0;
        }
    }
}

/* One pixel without a partner. */
TN_INLINE void tn_conv2d_lone(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, int left, int8_t *out,
                              uint32_t *columns, int8_t *codes)
{
    if (p->lone != 0) {
        tn_conv2d_gather(p, rows, left, columns, 1, codes);
        for (int i = p->in_channels % 4 == 0 ? tn_conv2d_used(p) / 2 : p->depth / 2; i < p->depth / 2; ++i) {
            columns[i] = 0;
        }
        tn_conv2d_pixels(p, 1, columns, out, 0);
    } else {
        tn_conv2d_gather(p, rows, left, columns, 2, codes);
        tn_conv2d_gather(p, rows, left, columns + 1, 2, codes);
        tn_conv2d_pixels(p, 2, columns, out, 0);
    }
}

/* --- rows and tensors ---------------------------------------------------------------------------------------- */

/* Output row `y`.
 * rows: rows.kernel pointers to input rows, NULL for a row of padding.
 * columns: `depth` words. codes: `depth` codes where the channels are no multiple of 4.
 * out: out_cols * out_channels codes; must not overlap the input. */
TN_INLINE void tn_conv2d_s8_dsp_row(const tn_conv2d_s8_dsp *p, const int8_t *const *rows, unsigned y, int8_t *out,
                                    uint32_t *columns, int8_t *codes)
{
    const int across = p->pool == TN_POOL_ROWS ? 1 : 2;
    const int step = p->pool == TN_POOL_NONE ? p->out_channels : 0;
    const int below = p->conv_rows % 2 == 0 || 2 * (int)y + 1 < p->conv_rows;
    int left = -(int)p->cols.pad;
    tn_conv2d_clear(p, columns, codes);
    for (int x = 0; x < p->cols.out; x += across, left += across * p->cols.stride) {
        const int two = p->pool == TN_POOL_ROWS ? below : p->cols.out % 2 == 0 || x + 1 < p->cols.out;
        if (two == 0) {
            tn_conv2d_lone(p, rows, left, out, columns, codes);
            out += p->out_channels;
            continue;
        }
        const int8_t *const *second = p->pool == TN_POOL_ROWS ? rows + p->row_distance : rows;
        tn_conv2d_gather(p, rows, left, columns, 2, codes);
        tn_conv2d_gather(p, second, p->pool == TN_POOL_ROWS ? left : left + p->cols.stride, columns + 1, 2, codes);
        tn_conv2d_pixels(p, 2, columns, out, step);
        out += p->out_channels + step;
    }
}

/* Every pixel of a tensor whose rows are odd, two by two across the ends of rows. */
TN_INLINE void tn_conv2d_all_pixels(const tn_conv2d_s8_dsp *p, const int8_t **rows, const int8_t *in, int8_t *out,
                                    uint32_t *columns, int8_t *codes)
{
    unsigned slot = 0;
    tn_conv2d_clear(p, columns, codes);
    for (unsigned y = 0; y < p->rows.out; ++y) {
        int left = -(int)p->cols.pad;
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, (int)y, rows);
        for (int x = 0; x < p->cols.out; ++x, left += p->cols.stride) {
            tn_conv2d_gather(p, rows, left, columns + slot, 2, codes);
            const int last = x == p->cols.out - 1 && y == p->rows.out - 1u;
            if (slot != 0 || last) {
                tn_conv2d_pixels(p, 2, columns, out, slot != 0 ? p->out_channels : 0);
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
        tn_window_rows(&p->rows, in, (size_t)p->cols.in * p->in_channels, (int)y, rows);
        tn_conv2d_s8_dsp_row(p, rows, y, out, columns, codes);
    }
}

#ifdef __cplusplus
}
#endif
#endif
