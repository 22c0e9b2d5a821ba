/* Two pixels, or one, by all channels: two channels at a time share every load and every widening.
 *
 * Weights of two channels lie in one word of lanes 256 * b + a. Multiplying by the lanes themselves and by their low
 * bytes gives 256 * B + A and A, so that one SXTB16 serves two channels: 12 instructions for 16 multiply-accumulates.
 * The sum may wrap; (256 * B + A - A) / 256 is B all the same, because the compiler knows |B| < 2^23,
 * or 2^22 with pooling, where differences are taken.
 *
 * Records, for every two output channels a, b: bias of a, of 256 * b + a (of b with `bytes`); weights, two codes a word
 * in the order 0 2, 1 3 of each four; multipliers of a, b. With TN_DSP_BESIDE a bias is the word of tn_dsp_round_packed,
 * of a and of b; with TN_DSP_EACH multipliers are followed by their addends, and these by the shifts of a, b; with
 * TN_DSP_TWICE multipliers are followed by their shifts. The last channel's partner is itself when they are odd in
 * number. */
#ifndef TN_CONV2D_DSP_PAIRS_H
#define TN_CONV2D_DSP_PAIRS_H

#include "tn_conv2d_dsp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sums of two channels a, b over pixels 0 and 1; `l` is 256 * b + a, or b. */
typedef struct {
    int32_t a0, l0, a1, l1;
} tn_conv2d_sums;

/* Sums start at the biases. */
TN_INLINE const uint32_t *tn_conv2d_start(const tn_conv2d_s8_dsp *p, const uint32_t *w, int pixels,
                                          tn_conv2d_sums *sums)
{
    if (p->rounding.shift == TN_DSP_BESIDE) {
        int32_t a;
        int32_t b;
        w = tn_load_two(w, &a, &b);
        sums->a0 = a >> 8;
        /* With the shift in the low byte, which no one reads of 256 * b. */
        const uint32_t both = (uint32_t)b + (uint32_t)sums->a0;
        sums->l0 = p->bytes != 0 ? b >> 8 : (int32_t)both;
        sums->a1 = sums->a0;
        sums->l1 = sums->l0;
        return w;
    }
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

/* 256 times the sum of channel b, bits beyond 32 lost, or the sum itself. */
TN_INLINE int32_t tn_conv2d_sum_b(const tn_conv2d_s8_dsp *p, int32_t a, int32_t l)
{
    const uint32_t rest = (uint32_t)l - (uint32_t)a;
    return p->bytes != 0 ? l : (int32_t)rest;
}

/* Twice the larger of two of these. */
TN_INLINE int32_t tn_conv2d_larger_b(const tn_conv2d_s8_dsp *p, int32_t first, int32_t second)
{
    return p->bytes != 0 ? tn_twice_larger(first, second) : tn_larger_part(first, second);
}

/* Twice one of these. */
TN_INLINE int32_t tn_conv2d_doubled_b(const tn_conv2d_s8_dsp *p, int32_t sum)
{
    return p->bytes != 0 ? sum * 2 : sum >> 7;
}

/* Constants of the rounding of two channels. */
typedef struct {
    int32_t factor[2];
    int32_t addend[2];
    int32_t shift[2]; /* where each has its own, or the words that hold them */
} tn_conv2d_scales;

/* Those at `w`, behind the weights. Gives the next record. */
TN_INLINE const uint32_t *tn_conv2d_load_scales(const tn_conv2d_s8_dsp *p, const uint32_t *w, tn_conv2d_scales *scales)
{
    const tn_dsp_rounding *const rounding = &p->rounding;
    scales->shift[0] = 0;
    scales->shift[1] = 0;
    if (rounding->shift == TN_DSP_EACH || rounding->shift == TN_DSP_TWICE) {
        w = tn_load_two(w, &scales->factor[0], &scales->addend[0]);
        w = tn_load_two(w, &scales->factor[1], &scales->addend[1]);
        return rounding->shift == TN_DSP_EACH ? tn_load_two(w, &scales->shift[0], &scales->shift[1]) : w;
    }
    if (rounding->shift == TN_DSP_BESIDE) {
        const uint32_t *const biases = w - p->depth / 2u - 2;
        for (int i = 0; i < 2; ++i) {
            scales->shift[i] = (int32_t)biases[i];
            scales->addend[i] = tn_dsp_addend(&rounding->output, biases[i]);
        }
    } else {
        scales->addend[0] = (2 * rounding->output.zero_point + 1) * ((int32_t)1 << (rounding->shift - 1));
        scales->addend[1] = scales->addend[0];
    }
    return tn_load_two(w, &scales->factor[0], &scales->factor[1]);
}

/* The code of channel `i` of two. */
TN_INLINE int8_t tn_conv2d_code(const tn_conv2d_s8_dsp *p, const tn_conv2d_scales *scales, int i, int32_t doubled)
{
    if (p->rounding.shift == TN_DSP_BESIDE) {
        return tn_dsp_round_packed(&p->rounding.output, p->rounding.signs, doubled, scales->factor[i],
                                   scales->addend[i], (uint32_t)scales->shift[i]);
    }
    return tn_dsp_round(&p->rounding, doubled, scales->factor[i], scales->addend[i], scales->shift[i]);
}

/* All channels of two gathered pixels, or of one, to `out`. The second pixel's channels lie `step` codes behind, unless
 * both are pooled; a step of 0 leaves them out. */
TN_INLINE void tn_conv2d_pixels(const tn_conv2d_s8_dsp *p, int pixels, const uint32_t *columns, int8_t *out, int step)
{
    const uint32_t *w = p->records;
    const uint32_t *const end = columns + (pixels == 2 ? p->depth : p->depth / 2);
    const int8_t *const last = out + p->out_channels;
    do {
        tn_conv2d_sums sums = {0, 0, 0, 0};
        tn_conv2d_scales scales;
        w = tn_conv2d_start(p, w, pixels, &sums);
        const uint32_t *x = columns;
        do {
            tn_conv2d_round(p, pixels, &sums, &x, &w);
        } while (p->depth != 4 * p->unroll && x != end);
        w = tn_conv2d_load_scales(p, w, &scales);
        int32_t a = sums.a0 * 2;
        int32_t b = tn_conv2d_sum_b(p, sums.a0, sums.l0);
        if (pixels == 2) {
            const int32_t second_b = tn_conv2d_sum_b(p, sums.a1, sums.l1);
            if (p->pool != TN_POOL_NONE) {
                a = tn_twice_larger(sums.a0, sums.a1);
                b = tn_conv2d_larger_b(p, b, second_b);
            } else {
                b = tn_conv2d_doubled_b(p, b);
                /* The second first: without a step the first pixel's code takes its place. */
                out[step] = tn_conv2d_code(p, &scales, 0, sums.a1 * 2);
                if (p->out_channels % 2 == 0 || out + 1 != last) {
                    out[step + 1] = tn_conv2d_code(p, &scales, 1, tn_conv2d_doubled_b(p, second_b));
                }
            }
        } else {
            b = tn_conv2d_doubled_b(p, b);
        }
        *out++ = tn_conv2d_code(p, &scales, 0, a);
        if (p->out_channels % 2 == 0 || out != last) {
            *out++ = tn_conv2d_code(p, &scales, 1, b);
        }
    } while (out != last);
}

#ifdef __cplusplus
}
#endif
#endif
